import { expect } from 'chai';
import { classify, type LoadOutcome } from '../../src/kernel/classify.ts';
import type { LoadFailureKind } from '../../src/kernel/load-signs.ts';

/** Lines 1 to 12, as the messages below number them. */
const script = [
  '*nat',
  ':KUBE-SEP-A - [0:0]',
  ':KUBE-SVC-A - [0:0]',
  '',
  '-F KUBE-SEP-A',
  '-X KUBE-SEP-A',
  '-A KUBE-SVC-A -j KUBE-SVC-A',
  '-D KUBE-SERVICES -j KUBE-SVC-A',
  '-A POSTROUTING -j REDIRECT',
  '-I PREROUTING 99 -j KUBE-SERVICES',
  'COMMIT',
  '',
].join('\n');

const legacy = 'iptables-legacy-restore';
const nftVariant = 'iptables-nft-restore';
const shell = 'iptables-restore v1.8.9 (legacy): ';
const nftShell = 'iptables-nft-restore v1.8.9 (nf_tables): ';
const tryHelp = "Try `iptables-restore -h' or 'iptables-restore --help' for more information.\n";

const cases: readonly [
  situation: string,
  outcome: Omit<LoadOutcome, 'script'>,
  kind: LoadFailureKind,
  line?: number,
][] = [
  [
    'legacy: the lock is held',
    {
      tool: legacy,
      exitCode: 4,
      stderr:
        "Can't lock /run/xtables.lock: Resource temporarily unavailable\nAnother app is currently holding the xtables lock. Stopped waiting after 1s.\n",
    },
    'lock-held',
  ],
  [
    'legacy: the lock is held, in the words of older versions',
    {
      tool: legacy,
      exitCode: 4,
      stderr: 'Another app is currently holding the xtables lock. Perhaps you want to use the -w option?\n',
    },
    'lock-held',
  ],
  ['our own lock is held', { tool: 'nft', exitCode: 75, stderr: '' }, 'lock-held'],
  [
    'legacy: the lock file cannot be opened',
    {
      tool: legacy,
      exitCode: 4,
      stderr: "Fatal: can't open lock file /run/xtables.lock: Read-only file system\n",
    },
    'environment',
  ],
  [
    'our lock file cannot be opened',
    { tool: 'nft', exitCode: 66, stderr: 'flock: cannot open lock file /x/lock: No such file or directory\n' },
    'environment',
  ],
  [
    'legacy: COMMIT is refused',
    { tool: legacy, exitCode: 1, stderr: 'iptables-restore: line 11 failed\n' },
    'refused-commit',
  ],
  [
    'legacy: the kernel is too busy',
    { tool: legacy, exitCode: 4, stderr: 'iptables: Resource temporarily unavailable.\n' },
    'environment',
  ],
  [
    'legacy: an unknown option',
    { tool: legacy, exitCode: 2, stderr: `${shell}unknown option "--bogus"\nError occurred at line: 9\n${tryHelp}` },
    'refused-line',
    9,
  ],
  [
    'nft variant: an unknown option',
    { tool: nftVariant, exitCode: 2, stderr: `${nftShell}unknown option "--bogus"\nError occurred at line: 9\n` },
    'refused-line',
    9,
  ],
  [
    'a port that is none',
    {
      tool: legacy,
      exitCode: 2,
      stderr: `${shell}invalid port/service \`70000' specified\nError occurred at line: 9\n${tryHelp}`,
    },
    'refused-line',
    9,
  ],
  [
    'an unknown match',
    {
      tool: nftVariant,
      exitCode: 2,
      stderr: `${nftShell}Couldn't load match \`nosuchmatch':No such file or directory\n\nError occurred at line: 9\n`,
    },
    'unsupported-feature',
    9,
  ],
  [
    'legacy: a jump to a missing chain',
    {
      tool: legacy,
      exitCode: 2,
      stderr: `${shell}Couldn't load target \`KUBE-SVC-GONE':No such file or directory\n\nError occurred at line: 9\n`,
    },
    'conflict',
    9,
  ],
  [
    'nft variant: a jump to a missing chain, told for COMMIT',
    {
      tool: nftVariant,
      exitCode: 2,
      stderr: `${nftShell}Chain 'NO-SUCH-CHAIN' does not exist\nError occurred at line: 11\n`,
    },
    'conflict',
  ],
  [
    'an unknown target',
    {
      tool: legacy,
      exitCode: 2,
      stderr: `${shell}Couldn't load target \`MASQUERADE':No such file or directory\n\nError occurred at line: 9\n`,
    },
    'unsupported-feature',
    9,
  ],
  [
    'legacy: a rule for a missing chain',
    { tool: legacy, exitCode: 1, stderr: 'iptables-restore: line 9 failed\n' },
    'conflict',
    9,
  ],
  [
    'nft variant: a rule for a missing chain',
    {
      tool: nftVariant,
      exitCode: 1,
      stderr: 'iptables-nft-restore: line 9 failed: No chain/target/match by that name.\n',
    },
    'conflict',
    9,
  ],
  [
    'nft variant: a rule to delete is not there',
    {
      tool: nftVariant,
      exitCode: 1,
      stderr: 'iptables-nft-restore: line 8 failed: Bad rule (does a matching rule exist in that chain?).\n',
    },
    'conflict',
    8,
  ],
  [
    'legacy: a rule to delete is not there',
    { tool: legacy, exitCode: 1, stderr: 'iptables-restore: line 8 failed\n' },
    'conflict',
    8,
  ],
  [
    'nft variant: a place that is not there',
    { tool: nftVariant, exitCode: 1, stderr: 'iptables-nft-restore: line 10 failed: Index of insertion too big.\n' },
    'conflict',
    10,
  ],
  [
    'nft variant: the kernel refuses a rule',
    {
      tool: nftVariant,
      exitCode: 4,
      stderr: `${nftShell}\nline 9: RULE_APPEND failed (Invalid argument): rule in chain POSTROUTING\n`,
    },
    'refused-line',
    9,
  ],
  [
    'nft variant: an extension without its kernel module',
    {
      tool: nftVariant,
      exitCode: 4,
      stderr: `Warning: Extension ipvs revision 0 not supported, missing kernel module?\n${nftShell}\nline 9: RULE_APPEND failed (No such file or directory): rule in chain POSTROUTING\n`,
    },
    'unsupported-feature',
    9,
  ],
  [
    'legacy: an extension without its kernel module',
    {
      tool: legacy,
      exitCode: 1,
      stderr:
        'Warning: Extension ipvs revision 0 not supported, missing kernel module?\niptables-restore: line 11 failed\n',
    },
    'unsupported-feature',
  ],
  [
    'nft variant: a chain in use is to be deleted',
    {
      tool: nftVariant,
      exitCode: 4,
      stderr: `${nftShell}\nline 6: CHAIN_DEL failed (Device or resource busy): chain KUBE-SEP-A\n`,
    },
    'busy',
    6,
  ],
  [
    'legacy: a chain in use is to be deleted',
    { tool: legacy, exitCode: 1, stderr: 'iptables-restore: line 6 failed\n' },
    'busy',
    6,
  ],
  [
    'nft variant: a circle of chains',
    {
      tool: nftVariant,
      exitCode: 4,
      stderr: `${nftShell}\nline 7: RULE_APPEND failed (Too many links): rule in chain KUBE-SVC-A\n`,
    },
    'internal',
    7,
  ],
  ['no COMMIT', { tool: legacy, exitCode: 1, stderr: 'iptables-restore: COMMIT expected at line 12\n' }, 'truncated'],
  [
    'legacy: no final newline',
    { tool: legacy, exitCode: 2, stderr: "Bad argument `COMMIT'\nError occurred at line: 11\n" },
    'truncated',
  ],
  [
    'legacy: a missing table',
    {
      tool: legacy,
      exitCode: 2,
      stderr: `${shell}iptables-restore: unable to initialize table 'nat'\nError occurred at line: 1\n`,
    },
    'environment',
  ],
  [
    'legacy: a chain name of 29',
    {
      tool: legacy,
      exitCode: 2,
      stderr: `${shell}Invalid chain name \`AAAAAAAAAAAAAAAAAAAAAAAAAAAAA' (28 chars max)\nError occurred at line: 2\n`,
    },
    'internal',
    2,
  ],
  [
    'nft variant: a chain name of 29',
    {
      tool: nftVariant,
      exitCode: 2,
      stderr: `${nftShell}chain name \`AAAAAAAAAAAAAAAAAAAAAAAAAAAAA' too long (must be under 29 chars)\nError occurred at line: 2\n`,
    },
    'internal',
    2,
  ],
  [
    'nft variant: no rights',
    {
      tool: nftVariant,
      exitCode: 4,
      stderr: `${nftShell}Could not fetch rule set generation id: Permission denied (you must be root)\n`,
    },
    'environment',
  ],
  [
    'nft: no rights',
    {
      tool: 'nft',
      exitCode: 1,
      stderr: 'netlink: Error: cache initialization failed: Operation not permitted\n',
    },
    'environment',
  ],
  [
    'nft variant: too much for the socket',
    {
      tool: nftVariant,
      exitCode: 1,
      stderr: 'sendmsg() failed: Message too long\niptables-nft-restore: line 11 failed: Message too long.\n',
    },
    'too-long',
  ],
  [
    'nft: too much for the socket',
    { tool: 'nft', exitCode: 1, stderr: 'netlink: Error: Could not process rule: Message too long\n' },
    'too-long',
  ],
  [
    'nft: a syntax error',
    { tool: 'nft', exitCode: 1, stderr: '/run/x:9:26-26: Error: syntax error, unexpected newline\nadd rule\n ^\n' },
    'refused-line',
    9,
  ],
  [
    'nft: an object is missing',
    {
      tool: 'nft',
      exitCode: 1,
      stderr: "/run/x:9:1-6: Error: No such file or directory; did you mean chain 'pre' in table ip 'kp'?\n",
    },
    'conflict',
    9,
  ],
  [
    'nft: the kernel misses an object',
    { tool: 'nft', exitCode: 1, stderr: '/run/x:9:1-6: Error: Could not process rule: No such file or directory\n' },
    'conflict',
    9,
  ],
  [
    'nft: a chain is in use',
    { tool: 'nft', exitCode: 1, stderr: '/run/x:9:1-6: Error: Could not process rule: Device or resource busy\n' },
    'busy',
    9,
  ],
  [
    'nft: an object exists',
    { tool: 'nft', exitCode: 1, stderr: '/run/x:9:1-6: Error: Could not process rule: File exists\n' },
    'conflict',
    9,
  ],
  [
    'nft: jumps too deep',
    { tool: 'nft', exitCode: 1, stderr: '/run/x:9:1-6: Error: Could not process rule: Too many links\n' },
    'internal',
    9,
  ],
  [
    'nft: a port that is none',
    { tool: 'nft', exitCode: 1, stderr: '/run/x:9:28-32: Error: Service out of range\n' },
    'refused-line',
    9,
  ],
  [
    'nft: a comment too long',
    { tool: 'nft', exitCode: 1, stderr: '/run/x:9:29-170: Error: comment too long, 128 characters maximum allowed\n' },
    'refused-line',
    9,
  ],
  [
    'nft: an unknown verb',
    { tool: 'nft', exitCode: 1, stderr: '/run/x:9:9-13: Error: syntax error, unexpected chain, expecting string\n' },
    'unsupported-feature',
    9,
  ],
  ['a hung tool that we ended', { tool: 'nft', signal: 'SIGTERM', stderr: '' }, 'killed'],
  ['a killed tool', { tool: legacy, signal: 'SIGKILL', stderr: '' }, 'killed'],
  ['a killed tool, told by an exit code', { tool: legacy, exitCode: 137, stderr: '' }, 'killed'],
  [
    'no file descriptors left',
    {
      tool: 'nft',
      exitCode: 127,
      stderr: 'nft: error while loading shared libraries: libnftables.so.1: cannot open shared object file: Error 24\n',
    },
    'environment',
  ],
  ['no file left for the tool', { tool: 'nft', stderr: 'EMFILE: too many open files' }, 'environment'],
  ['no process left for the tool', { tool: 'nft', stderr: 'spawn /usr/bin/setpriv EAGAIN' }, 'environment'],
  ['a tool that cannot be executed', { tool: 'nft', exitCode: 126, stderr: '' }, 'environment'],
  ['words nobody knows', { tool: 'nft', exitCode: 1, stderr: 'something new\n' }, 'refused-commit'],
];

describe('classifying a failed load', () => {
  for (const [situation, outcome, kind, line] of cases) {
    it(`${situation}: ${kind}${line === undefined ? '' : ` at line ${line}`}`, () => {
      const failure = classify({ ...outcome, script });
      expect(failure.kind).to.equal(kind);
      expect(failure.line).to.equal(line);
      expect(failure.stderr).to.equal(outcome.stderr);
    });
  }

  it('says what was seen, on which line, what it means and what to do', () => {
    const stderr = `${nftShell}\nline 9: RULE_APPEND failed (Invalid argument): rule in chain POSTROUTING\n`;
    expect(classify({ tool: nftVariant, exitCode: 4, stderr, script }).message).to.equal(
      'iptables-nft-restore (line 9: -A POSTROUTING -j REDIRECT): line 9: RULE_APPEND failed (Invalid argument): rule in chain POSTROUTING. ' +
        'This rule is not accepted on this host. The Service it belongs to is left out until it changes.',
    );
  });

  it('keeps its message short, however long the line or the words', () => {
    const stderr = `/run/x:1:1-6: Error: syntax error ${'x'.repeat(100_000)}\n`;
    const { message } = classify({ tool: 'nft', exitCode: 1, stderr, script: 'y'.repeat(100_000) });
    expect(message.length).to.be.lessThan(800);
  });
});
