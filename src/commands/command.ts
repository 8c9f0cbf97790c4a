import type { FlagValues } from '../config/flags.ts';

/** What a command was asked, parsed from its words but not interpreted. */
export interface CommandOptions {
  /** `-f`, in order; empty: the state comes from a cluster. */
  readonly filenames: readonly string[];
  readonly recursive: boolean;
  readonly allowEmpty: boolean;
  readonly keepGoing: boolean;
  readonly dryRun: boolean;
  readonly output: string;
  /** A saved listing to read instead of the kernel's. */
  readonly rulesetFile?: string;
  /** kube-proxy's flags and those of ours that are configuration. */
  readonly flags: FlagValues;
  /** Everything else a single command takes, by the attribute names of its options. */
  readonly own: Readonly<Record<string, unknown>>;
  /** Words that are no options. */
  readonly words: readonly string[];
}

/** Where a command's words go, and what it may ask of its surroundings. */
export interface CommandEffects {
  /** Data. */
  print(text: string): void;
  /** Everything else: one line for people. */
  say(line: string): void;
  /** The standard output is a terminal that shows colours. */
  readonly hasColour: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts on SIGTERM and SIGINT. */
  readonly signal: AbortSignal;
  readStdin(): Promise<Uint8Array>;
}

/** Returns the exit code. Throws UsageError, InputError, TroubleError, ConfigError. */
export type Command = (options: CommandOptions, effects: CommandEffects) => Promise<number>;
