import type { Ruleset, ServiceName } from './ruleset.ts';

/** One difference between live and desired, as people and programs read it (`diff -o json`). */
export interface Change {
  /** The object: table and name, for instance `nat KUBE-SVC-XPGD46QRK7WJZT7O`. */
  readonly object: string;
  readonly kind: 'add' | 'change' | 'delete';
  /** Lines that go away, as listed. */
  readonly before: readonly string[];
  /** Lines that come. */
  readonly after: readonly string[];
  /** The Service it belongs to; absent for what Services share. */
  readonly service?: ServiceName;
}

/** Consecutive lines of a script that exist for the same reason. Every text ends with a newline. */
export interface Segment {
  readonly text: string;
  readonly service?: ServiceName;
}

/**
 * Input for one run of one tool. Scripts of a plan run in order. A `change` script must succeed; a `clean-up`
 * script removes what nothing uses any more, is best effort, and may fail without harm.
 */
export interface Script {
  readonly tool: 'iptables-restore' | 'ip6tables-restore' | 'nft';
  readonly phase: 'change' | 'clean-up';
  readonly segments: readonly Segment[];
}

/** What differs, and the scripts that remove the difference. Empty scripts mean: execute nothing. */
export interface Plan {
  readonly changes: readonly Change[];
  readonly scripts: readonly Script[];
  /**
   * The same in more scripts, with the removal of what nothing uses any more on its own: for when the kernel refuses,
   * since rules of somebody else may lead to that. Absent where `scripts` keep it apart.
   */
  readonly apart?: readonly Script[];
  /** The live ruleset once the scripts have run. */
  readonly after: Ruleset;
}

/** The script as the tool reads it. */
export function scriptText(script: Script): string {
  return script.segments.map((segment) => segment.text).join('');
}

/** The Service for which line `line` (counted from 1) of a script was written; absent when it is nobody's. */
export function serviceAtLine(script: Script, line: number): ServiceName | undefined {
  let end = 0;
  for (const segment of script.segments) {
    end += segment.text.split('\n').length - 1;
    if (line <= end) return segment.service;
  }
  return undefined;
}

/** The script without line `line` (counted from 1); the same script when it has no such line. */
export function withoutLine(script: Script, line: number): Script {
  let start = 0;
  const segments = script.segments.flatMap((segment) => {
    const texts = segment.text.split('\n').slice(0, -1);
    const index = line - start - 1;
    start += texts.length;
    if (index < 0 || index >= texts.length) return [segment];
    const rest = texts.toSpliced(index, 1);
    return rest.length === 0 ? [] : [{ ...segment, text: rest.map((text) => `${text}\n`).join('') }];
  });
  return { ...script, segments };
}
