/** An option that one command has, apart from those that many have. */
export interface VerbOption {
  /** As commander reads it: `--suggest <n>`. */
  readonly flags: string;
  readonly help: string;
}

export type VerbName =
  | 'render'
  | 'diff'
  | 'apply'
  | 'run'
  | 'cleanup'
  | 'explain'
  | 'ports'
  | 'verify'
  | 'doctor'
  | 'report'
  | 'help'
  | 'completion';

/** A command, in words; what it does is in commands.ts. */
export interface Verb {
  readonly name: VerbName;
  readonly summary: string;
  /** Words after the name, as commander reads them. */
  readonly words?: string;
  readonly example: string;
  /** What its exit codes mean, as a half sentence each. */
  readonly exitCodes: string;
  /** Which of the shared options it has. */
  readonly takes: readonly Shared[];
  /** Formats of `-o` beside text, JSON and YAML. */
  readonly formats?: readonly string[];
  readonly options?: readonly VerbOption[];
}

/** `live`: a saved listing under the name `--live`; otherwise `--live` means the kernel. */
type Shared = 'state' | 'keepGoing' | 'dryRun' | 'live' | 'ruleset' | 'output';

const kernelOption: VerbOption = { flags: '--live', help: "the kernel's rules instead of the desired ones" };

/** All commands, in the order in which help lists them. */
export const verbs: readonly Verb[] = [
  {
    name: 'render',
    summary: 'print the rules; needs no cluster, no root and no kernel',
    example: 'portwright render -f service.yaml --ip-family IPv4',
    exitCodes: '0; 2 when input or usage is wrong',
    takes: ['state', 'keepGoing', 'output'],
  },
  {
    name: 'diff',
    summary: 'show what differs between the live rules and what they should be, by Service',
    example: 'portwright diff -f manifests/',
    exitCodes: '0 the same; 1 something differs; 2 input or usage is wrong, or something cannot be read',
    takes: ['state', 'keepGoing', 'live', 'ruleset', 'output'],
  },
  {
    name: 'apply',
    summary: 'make the live rules what they should be, once',
    example: 'portwright apply -f manifests/ --dry-run',
    exitCodes: '0 the rules are what they should be; 2 not all of them',
    takes: ['state', 'keepGoing', 'dryRun', 'output'],
  },
  {
    name: 'run',
    summary: 'the agent of a node: follows a cluster, or a directory of manifests, and keeps the live rules true',
    example: 'portwright run --config /var/lib/kube-proxy/config.conf',
    exitCodes: '0 told to end; 1 cannot go on; 2 cannot start',
    takes: ['state', 'dryRun', 'output'],
    formats: ['script'],
  },
  {
    name: 'cleanup',
    summary: 'remove all rules of Portwright and kube-proxy, in both modes and both iptables variants',
    example: 'portwright cleanup --dry-run',
    exitCodes: '0 nothing is left; 2 something is',
    takes: ['dryRun', 'output'],
  },
  {
    name: 'explain',
    summary: 'walk one packet through the rules: where it goes, and why',
    example: 'portwright explain -f manifests/ --to node:30080 --from 192.0.2.7',
    exitCodes: '0 every client reaches an endpoint; 1 rejected, dropped or not for a Service; 2 cannot tell',
    takes: ['state', 'keepGoing', 'ruleset', 'output'],
    formats: ['mermaid', 'dot'],
    options: [
      { flags: '--to <destination>', help: 'IP:PORT[/tcp|udp|sctp], node:NODEPORT, or [NAMESPACE/]SERVICE:PORT' },
      { flags: '--from <source>', help: 'IP[:PORT]; without it: a pod here, this node and the outside, side by side' },
      { flags: '--in-interface <name>', help: 'where the packet comes in' },
      kernelOption,
    ],
  },
  {
    name: 'ports',
    summary: 'list every node port, where it answers, and what stands in its way',
    example: 'portwright ports -f manifests/ --suggest 3',
    exitCodes: '0; 1 Services want the same port; 2 input or usage is wrong',
    takes: ['state', 'keepGoing', 'output'],
    formats: ['wide'],
    options: [{ flags: '--suggest <count>', help: 'propose so many free ports of the static band' }],
  },
  {
    name: 'verify',
    summary: 'prove that both modes treat every relevant packet alike',
    example: 'portwright verify -f manifests/',
    exitCodes: '0 alike, apart from what is documented; 1 not alike; 2 cannot tell',
    takes: ['state', 'keepGoing', 'output'],
    options: [{ ...kernelOption, help: 'compare the desired rules with the kernel, by walking packets' }],
  },
  {
    name: 'doctor',
    summary: 'look whether this node is fit for Services, and what to do',
    example: 'portwright doctor',
    exitCodes: '0 no problem; 1 problems were found; 2 usage is wrong',
    takes: ['output'],
  },
  {
    name: 'report',
    summary: 'print one HTML page about a state or this node: ports, Services, ways of packets, what is wrong',
    example: 'portwright report -f manifests/ > report.html',
    exitCodes: '0; 2 when input or usage is wrong',
    takes: ['state', 'keepGoing'],
    options: [
      { ...kernelOption, help: "walk packets through the kernel's rules, compare them, and look at this node" },
    ],
  },
  {
    name: 'help',
    summary: 'explain a topic, or a command',
    words: '[topic]',
    example: 'portwright help',
    exitCodes: '0; 2 when there is no such topic',
    takes: [],
  },
  {
    name: 'completion',
    summary: 'print the completion script of a shell',
    words: '<shell>',
    example: 'portwright completion bash > /etc/bash_completion.d/portwright',
    exitCodes: '0; 2 when the shell is not known',
    takes: [],
  },
];
