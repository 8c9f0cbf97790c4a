/** A source of chance that gives the same numbers for the same seed. */
export interface Chance {
  below(limit: number): number;
  of<T>(items: readonly T[]): T;
}

export function createChance(seed: number): Chance {
  let state = seed >>> 0;
  const below = (limit: number): number => {
    // Numerical Recipes' constants; good enough to vary test rules.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  return {
    below,
    of: (items) => {
      const item = items[below(items.length)];
      if (item === undefined) throw new Error('chance has nothing to choose from');
      return item;
    },
  };
}

const sources = [
  '172.18.0.100',
  '172.18.0.200',
  '172.18.0.0/24',
  '10.244.1.11',
  '10.244.1.0/24',
  '172.18.0.11',
  '0.0.0.0/1',
];
const destinations = [
  '10.244.1.11',
  '10.244.1.12',
  '10.244.2.14',
  '10.244.0.0/16',
  '10.96.0.0/16',
  '172.18.0.11',
  '10.96.0.10',
];
const ports = ['80', '8080', '30100', '8000:8100', '4444'];

/** Rules of an administrator around a proxy's, as input for `iptables-restore --noflush`. */
export function randomIptables(chance: Chance): string {
  const rules = (chain: string, targets: readonly string[]): string[] =>
    Array.from({ length: 2 + chance.below(4) }, () => {
      const matches = distinct(iptablesMatches, chance).map((match) => match(chance));
      return `-A ${chain} -p tcp ${matches.join(' ')} ${chance.of(targets)}`;
    });
  const stops = [
    '-j DROP',
    '-j REJECT',
    '-j ACCEPT',
    '-j RETURN',
    '-j MARK --set-xmark 0x1/0x3',
    '-j MARK --or-mark 0x2',
  ];
  const calls = [...stops, '-j ADMIN-2', '-g ADMIN-2'];
  const place = chance.of(['-I', '-A']);
  return [
    '*mangle',
    ':ADMIN - [0:0]',
    '-A PREROUTING -m conntrack --ctstate NEW -j ADMIN',
    ...rules('ADMIN', [
      '-j MARK --set-xmark 0x1/0x1',
      '-j MARK --set-xmark 0x2/0x2',
      '-j RETURN',
      '-j CONNMARK --save-mark',
    ]),
    'COMMIT',
    '*filter',
    ':ADMIN - [0:0]',
    ':ADMIN-2 - [0:0]',
    ...['INPUT', 'FORWARD', 'OUTPUT'].map((chain) => `${place} ${chain} -m conntrack --ctstate NEW -j ADMIN`),
    ...rules('ADMIN', calls),
    ...rules('ADMIN-2', stops),
    'COMMIT',
    '',
  ].join('\n');
}

/** One or two of them. */
function distinct<T>(items: readonly T[], chance: Chance): readonly T[] {
  const first = chance.of(items);
  return chance.below(2) === 0 ? [first] : [first, chance.of(items.filter((item) => item !== first))];
}

const iptablesMatches: readonly ((chance: Chance) => string)[] = [
  (chance) => `${chance.of(['', '! '])}-s ${chance.of(sources)}`,
  (chance) => `${chance.of(['', '! '])}-d ${chance.of(destinations)}`,
  (chance) => `-m tcp --dport ${chance.of(ports)}`,
  (chance) => `-m multiport ${chance.of(['', '! '])}--dports 22,${chance.of(ports)}`,
  (chance) => `-m mark ${chance.of(['', '! '])}--mark ${chance.of(['0x1/0x1', '0x2/0x2', '0x4000/0x4000', '0x0/0x3'])}`,
  (chance) => `-m connmark --mark ${chance.of(['0x1/0x1', '0x0/0x2'])}`,
  (chance) => `-m addrtype ${chance.of(['', '! '])}--${chance.of(['src', 'dst'])}-type LOCAL`,
  (chance) => `-m conntrack ${chance.of(['', '! '])}--ctstate ${chance.of(['DNAT', 'NEW,RELATED', 'SNAT', 'INVALID'])}`,
  (chance) => `-m conntrack --ctorigdst ${chance.of(['10.96.0.10', '172.18.0.11'])}`,
  () => '-m iprange --src-range 172.18.0.50-172.18.0.150',
  () => '-m tcp --syn',
  () => '-m recent --name admin --rcheck --seconds 60',
];

/** The same kind of rules as a table of nftables that asks before or after the proxy's. */
export function randomNftables(chance: Chance): string {
  const rules = (targets: readonly string[]): string[] =>
    Array.from({ length: 2 + chance.below(4) }, () => {
      const matches = distinct(nftablesMatches, chance).map((match) => match(chance));
      // A verdict map has the last word in its rule.
      return targets === calls && chance.below(8) === 0
        ? '    tcp dport vmap @doors'
        : `    ${matches.join(' ')} ${chance.of(targets)}`;
    });
  const stops = [
    'drop',
    'reject',
    'counter accept',
    'return',
    'meta mark set meta mark and 0xfffffffc or 0x1',
    'log drop',
  ];
  const calls = [...stops, 'jump more', 'goto more'];
  const priority = chance.of(['filter - 5', 'filter + 5']);
  return [
    'table inet admin {',
    '  set blocked { type ipv4_addr; flags interval; elements = { 172.18.0.50-172.18.0.150, 10.244.1.13 } }',
    '  map doors { type inet_service : verdict; flags interval; elements = { 22 : accept, 8000-8100 : jump more, 4444 : drop } }',
    '  chain marking { type filter hook prerouting priority mangle;',
    '    ct state != new return',
    ...rules(['meta mark set 0x1', 'meta mark set meta mark or 0x2', 'return']),
    '  }',
    '  chain more {',
    ...rules(stops),
    '  }',
    ...['input', 'forward', 'output'].flatMap((hook) => [
      `  chain ${hook} { type filter hook ${hook} priority ${priority}; policy accept;`,
      '    ct state established,related accept',
      ...rules(calls),
      '  }',
    ]),
    '}',
    '',
  ].join('\n');
}

const nftablesMatches: readonly ((chance: Chance) => string)[] = [
  (chance) => `ip saddr ${chance.of(['', '!= '])}${chance.of(sources)}`,
  (chance) => `ip daddr ${chance.of(['', '!= '])}{ ${chance.of(destinations)}, 192.0.2.0/24 }`,
  (chance) => `ip saddr ${chance.of(['', '!= '])}@blocked`,
  (chance) => `tcp dport ${chance.of(['80', '!= 80', '8000-8100', '{ 22, 8080, 30000-30200 }', '>= 8080'])}`,
  (chance) => `meta mark and ${chance.of(['0x1 == 0x1', '0x2 != 0x2', '0x4000 == 0x4000', '0x3 == 0'])}`,
  (chance) => `fib ${chance.of(['saddr', 'daddr'])} type ${chance.of(['', '!= '])}local`,
  (chance) => `ct status ${chance.of(['dnat', '! dnat', '!= dnat', 'snat,dnat'])}`,
  () => 'ct original ip daddr 10.96.0.10',
  () => 'meta nfproto ipv4 meta l4proto 6',
  () => 'ip saddr . tcp dport { 172.18.0.100 . 8080, 10.244.1.0/24 . 80-8080 }',
];
