import type { Command } from './command.ts';

/** An option that one command has, apart from those that many have. */
export interface VerbOption {
  /** As commander reads it: `--suggest <n>`. */
  readonly flags: string;
  readonly help: string;
}

/** A command: its words, and the module that is loaded when it is asked for. */
export interface Verb {
  readonly name: string;
  readonly summary: string;
  /** Words after the name, as commander reads them. */
  readonly words?: string;
  readonly example: string;
  /** Which of the shared options it has. */
  readonly takes: readonly ('state' | 'keepGoing' | 'dryRun' | 'ruleset' | 'output')[];
  readonly options?: readonly VerbOption[];
  readonly load: () => Promise<Command>;
}

export const verbs: readonly Verb[] = [
  {
    name: 'render',
    summary: 'print the rules; needs no cluster, no root and no kernel',
    example: 'portwright render -f service.yaml --ip-family IPv4',
    takes: ['state', 'keepGoing', 'output'],
    load: async () => (await import('./render.ts')).render,
  },
  {
    name: 'diff',
    summary: 'show what differs between the live rules and what they should be, by Service',
    example: 'portwright diff -f manifests/',
    takes: ['state', 'keepGoing', 'ruleset', 'output'],
    load: async () => (await import('./diff.ts')).diff,
  },
  {
    name: 'apply',
    summary: 'make the live rules what they should be, once',
    example: 'portwright apply -f manifests/ --dry-run',
    takes: ['state', 'keepGoing', 'dryRun', 'output'],
    load: async () => (await import('./apply.ts')).apply,
  },
  {
    name: 'cleanup',
    summary: 'remove all rules of Portwright and kube-proxy, in both modes and both iptables variants',
    example: 'portwright cleanup --dry-run',
    takes: ['dryRun', 'output'],
    load: async () => (await import('./cleanup.ts')).cleanup,
  },
];
