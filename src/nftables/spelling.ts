import { parseAddress } from '../ruleset/walk-address.ts';
import { protocolNames, protocolOfMap } from './names.ts';
import type { RulesetObject } from '../ruleset/ruleset.ts';

/**
 * What a line says, however it is spelled: two lines with one key do the same. Versions of nft spell rules
 * differently, names of protocols are missing where /etc/protocols is, IPv6 addresses have several forms, and
 * comments do nothing.
 */
export function lineKey(object: Pick<RulesetObject, 'kind' | 'name'>, line: string): string {
  return object.kind === 'set' || object.kind === 'map' ? elementKey(object.name, line) : ruleKey(line);
}

/** An element of the set or map `name` in canonical form: `10.96.0.1 . tcp . 80 : drop`. */
export function elementKey(name: string, line: string): string {
  const words = withoutComment(line).replace(counter, '').replace(times, '').split(' ');
  let isKey = true;
  let isProtocolKnown = protocolOfMap(name) !== undefined;
  return words
    .map((word) => {
      if (word === ':') isKey = false;
      if (word === '.' || word === ':') return word;
      const address = canonicalAddress(word);
      if (address !== undefined) return address;
      if (!isKey || isProtocolKnown) return word;
      // The first part of a key that is no address is the protocol.
      isProtocolKnown = true;
      return protocolNames.get(word) ?? word;
    })
    .join(' ');
}

/** The key of an element in canonical form, without what a map says for it. */
export function elementKeyAlone(name: string, line: string): string {
  const [key = ''] = elementKey(name, line).split(' : ');
  return key;
}

/** Whether two objects are the same apart from their lines. Comments of objects do nothing. */
export function definitionKey({ kind, definition }: Pick<RulesetObject, 'kind' | 'definition'>): readonly string[] {
  if (kind === 'table') return isDormant(definition) ? ['flags dormant'] : [];
  const lines = definition.filter((line) => !line.startsWith('comment '));
  return kind === 'chain' ? lines.map(hookKey) : lines.flatMap(setKey).sort();
}

/** The kernel asks none of the chains of such a table. */
export function isDormant(definition: readonly string[]): boolean {
  return definition.some((line) => /^flags\b.*\bdormant\b/.test(line));
}

const counter = / counter packets \d+ bytes \d+/;
const times = / (?:timeout|expires) [0-9dhms]+/g;

function withoutComment(line: string): string {
  const start = line.indexOf(' comment "');
  if (start === -1) return line;
  const end = line.indexOf('"', start + ' comment "'.length);
  return line.slice(0, start) + (end === -1 ? '' : line.slice(end + 1));
}

/** The rule with names where `nft -n` or `nft -p` prints the numbers of what our rules ask for. */
export function withNames(line: string): string {
  return line
    .replace(/\bct state 0x0*8\b/, 'ct state new')
    .replace(/\bct status 0x0*20\b/, 'ct status dnat')
    .replace(/\b(fib [sd]addr) type 2\b/, '$1 type local')
    .replace(/\bl4proto (6|17|132)\b/, (_, number: string) => `l4proto ${protocolNames.get(number) ?? number}`);
}

/** An address or CIDR in the one form that both sides of a comparison get; IPv4 has one form only. */
function canonicalAddress(word: string): string | undefined {
  if (word.includes(':')) {
    const [address = '', length] = word.split('/');
    const text = parseAddress(address)?.text;
    if (text === undefined) return undefined;
    return length === undefined || length === '128' ? text : `${text}/${length}`;
  }
  return word.includes('.') ? word.replace(/\/32$/, '') : undefined;
}

function ruleKey(line: string): string {
  return withoutComment(line)
    .replaceAll(/"([^"]*)"/g, '$1')
    .replaceAll('meta mark', 'mark')
    .replace(/mark != 0x0+\/1\b/, 'mark & 0x80000000 != 0')
    .replaceAll(/ (or|and|xor) (?=0x|\d)/g, (_, operator: string) => ` ${operators.get(operator) ?? operator} `)
    .replace(/mark (?:and|&) (\S+) (?:!=|ne) 0(?:x0+)?(?= |$)/, 'mark & $1 != 0')
    .replace('mark set mark ', 'mark set ')
    .replaceAll(/\b0x[0-9a-f]+\b/g, (hex) => String(Number(hex)))
    .replace(/ timeout ([0-9dhms]+) }$/, (_, time: string) => ` timeout ${seconds(time)} }`)
    .replace(/\bdnat (ip6? )?(?:addr \. port )?to\b/, 'dnat to')
    .replace(/\breject with icmp(?:v6|x)? (?:type )?port-unreachable$/, 'reject')
    .split(' ')
    .map(canonicalWord)
    .join(' ');
}

const operators = new Map([
  ['or', '|'],
  ['and', '&'],
  ['xor', '^'],
]);

function canonicalWord(word: string): string {
  const [, address, port] = /^\[([0-9a-f:.]+)\](:\d+)$/.exec(word) ?? [];
  if (address !== undefined && port !== undefined) return `[${canonicalAddress(address) ?? address}]${port}`;
  return /[.:]/.test(word) ? (canonicalAddress(word) ?? word) : word;
}

/** The names that `nft` prints for priorities in the families ip, ip6 and inet. */
const priorities = new Map([
  ['raw', -300],
  ['mangle', -150],
  ['dstnat', -100],
  ['filter', 0],
  ['security', 50],
  ['srcnat', 100],
]);

/** `type nat hook prerouting priority dstnat; policy accept;` with the priority as a number. */
function hookKey(line: string): string {
  const [, type, priority] = /^type (\w+ hook \w+(?: device \S+)?) priority (-?\w+(?: [+-] \d+)?)/.exec(line) ?? [];
  if (type === undefined || priority === undefined) return line;
  const policy = line.includes('policy drop') ? 'drop' : 'accept';
  return `type ${type} priority ${priorityNumber(priority)} policy ${policy}`;
}

/** A priority as it is printed: `-150` is -150, `dstnat + 5` is -95. */
export function priorityNumber(printed: string): number {
  const [base = '', sign, offset = '0'] = printed.split(' ');
  return (priorities.get(base) ?? Number(base)) + (sign === '-' ? -Number(offset) : Number(offset));
}

/** Sets that rules fill hold so many elements when nothing is said. */
const defaultSize = 'size 65535';

function setKey(line: string): string[] {
  // How long a client is remembered is said by the rule that remembers it.
  if (line === defaultSize || line.startsWith('timeout ')) return [];
  if (line.startsWith('flags '))
    return [
      `flags ${line
        .slice('flags '.length)
        .split(',')
        .map((flag) => flag.trim())
        .sort()
        .join(',')}`,
    ];
  if (!line.startsWith('typeof ')) return [line];
  return [
    `type ${types.reduce((text, [expression, type]) => text.replaceAll(expression, type), line.slice('typeof '.length))}`,
  ];
}

/** What nft would print where it does not remember the words of a typeof. */
const types = [
  ['ip daddr', 'ipv4_addr'],
  ['ip6 daddr', 'ipv6_addr'],
  ['tcp dport', 'inet_service'],
  ['udp dport', 'inet_service'],
  ['sctp dport', 'inet_service'],
  ['numgen random mod 65536', 'integer'],
] as const;

const unitSeconds = new Map([
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
]);

function seconds(text: string): number {
  return [...text.matchAll(/(\d+)(ms|[dhms])/g)].reduce(
    (sum, [, count, unit = '']) => sum + Number(count) * (unitSeconds.get(unit) ?? 0.001),
    0,
  );
}
