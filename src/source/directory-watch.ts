import { createHash } from 'node:crypto';
import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { dirname } from 'node:path';
import { readTexts, stampOf } from './files.ts';
import { keepIdentity } from './identity.ts';
import { readManifests } from './manifests.ts';
import type { ManifestOptions, Manifests } from './manifests.ts';
import type { ClusterState } from './objects.ts';
import type { Problem } from './problem.ts';
import type { StateChange, StateSource } from './state-source.ts';
import type { Warning } from './warning.ts';
import type { ManifestText } from './yaml.ts';

export interface DirectorySourceOptions {
  /** Files and directories, as the user named them. */
  readonly filenames: readonly string[];
  readonly recursive: boolean;
  /** No Service at all is meant; otherwise such a state is not taken. */
  readonly allowEmpty: boolean;
  readonly manifests: ManifestOptions;
}

export interface DirectoryEffects {
  /** Calls back once after the delay; returns how to cancel. */
  readonly after: (delayMs: number, callback: () => void) => () => void;
  /** What is wrong in the files at present; told again when it changed, and once empty when all is well again. */
  readonly onProblems: (problems: readonly Problem[]) => void;
  readonly onWarnings: (warnings: readonly Warning[]) => void;
}

/** Editors write a file in several steps. */
const settleMs = 150;
/** Where the file system tells nothing, as some of those mounted over a network. */
const pollMs = 5_000;

/** Follows manifests. A file that cannot be read or that the API server would refuse counts as it last was. */
export function createDirectorySource(options: DirectorySourceOptions, effects: DirectoryEffects): StateSource {
  return new Directory(options, effects);
}

class Directory implements StateSource {
  readonly #options: DirectorySourceOptions;
  readonly #effects: DirectoryEffects;
  readonly #listeners = new Set<(change: StateChange) => void>();
  #watchers: readonly FSWatcher[] = [];
  /** The last texts that were taken, by file. */
  #good: ReadonlyMap<string, string> = new Map();
  /** Tells whether the files are those read last; nothing when they must be read again in any case. */
  #stamp: string | undefined;
  /** Tells whether the texts are those seen last, taken or not. */
  #seen: string | undefined;
  #problems = '[]';
  #warnings = '[]';
  #state: ClusterState | undefined;
  #cancel = (): void => undefined;
  #reading: Promise<void> | undefined;
  #isStopped = false;

  constructor(options: DirectorySourceOptions, effects: DirectoryEffects) {
    this.#options = options;
    this.#effects = effects;
  }

  start(): void {
    this.#watchers = this.#options.filenames.flatMap((path) => [
      ...this.#watcher(path),
      ...this.#watcher(dirname(path)),
    ]);
    this.#readIn(0);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel();
    for (const watcher of this.#watchers) watcher.close();
    await this.#reading;
  }

  snapshot(): ClusterState | undefined {
    return this.#state;
  }

  onChange(listener: (change: StateChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #watcher(path: string): FSWatcher[] {
    try {
      const watcher = watch(path, () => {
        if (this.#reading === undefined) this.#readIn(settleMs);
      });
      // Whatever ends it, looking now and then goes on.
      watcher.on('error', () => {
        watcher.close();
      });
      return [watcher];
    } catch {
      return [];
    }
  }

  #readIn(delayMs: number): void {
    this.#cancel();
    if (this.#isStopped) return;
    this.#cancel = this.#effects.after(delayMs, () => {
      this.#reading = this.#read().finally(() => {
        this.#reading = undefined;
        this.#readIn(pollMs);
      });
    });
  }

  async #read(): Promise<void> {
    const { filenames, recursive } = this.#options;
    // Taken before the files are read: what changes meanwhile is read the next time.
    const stamp = await stampOf(filenames, recursive);
    if (stamp === this.#stamp) return;
    const { texts, problems } = await readTexts(filenames, { recursive, readStdin: refuseStdin });
    this.#stamp = problems.length === 0 ? stamp : undefined;
    const seen = createHash('sha256')
      .update(JSON.stringify([texts, problems]))
      .digest('base64');
    if (this.#isStopped || seen === this.#seen) return;
    this.#seen = seen;
    this.#take(texts, problems);
  }

  #take(texts: readonly ManifestText[], unreadable: readonly Problem[]): void {
    // A directory that cannot be listed says nothing about its files.
    const isWhole = !unreadable.some(({ file }) => this.#options.filenames.includes(file));
    const kept = isWhole ? texts : this.#withKnown(texts);
    const first = readManifests(
      this.#withGood(kept, new Set(unreadable.map(({ file }) => file))),
      this.#options.manifests,
    );
    const bad = new Set([...unreadable, ...first.problems].map(({ file }) => file));
    const chosen = bad.size === 0 ? kept : this.#withGood(kept, bad);
    const taken = bad.size === 0 ? first : readManifests(chosen, this.#options.manifests);
    const empty = this.#emptiness(taken);
    this.#tell([...unreadable, ...first.problems, ...empty], taken.warnings);
    if (empty.length > 0) return;
    this.#good = new Map(chosen.map(({ file, text }) => [file, text]));
    const state = keepIdentity(this.#state, taken.state);
    if (state === this.#state) return;
    this.#state = state;
    for (const listener of this.#listeners) listener({ triggers: [] });
  }

  /** The texts, and the last good ones of files that are not among them. */
  #withKnown(texts: readonly ManifestText[]): readonly ManifestText[] {
    const known = [...this.#good].map(([file, text]) => ({ file, text }));
    return [...texts, ...known.filter(({ file }) => !texts.some((text) => text.file === file))];
  }

  /** The texts, with the last good ones of bad files in their places. */
  #withGood(texts: readonly ManifestText[], bad: ReadonlySet<string>): readonly ManifestText[] {
    const present = new Set(texts.map(({ file }) => file));
    const missing = [...bad].filter((file) => !present.has(file));
    const good = (file: string): ManifestText[] => {
      const text = bad.has(file) ? this.#good.get(file) : undefined;
      return text === undefined ? [] : [{ file, text }];
    };
    return [...texts.map((text) => good(text.file)[0] ?? text), ...missing.flatMap(good)];
  }

  #emptiness({ serviceCount }: Manifests): Problem[] {
    if (serviceCount > 0 || this.#options.allowEmpty) return [];
    const hint = 'give --allow-empty if there is to be none; until then rules stay as they are';
    return [{ file: this.#options.filenames.join(', '), message: 'no Service found', hint }];
  }

  #tell(problems: readonly Problem[], warnings: readonly Warning[]): void {
    const problemText = JSON.stringify(problems);
    if (problemText !== this.#problems) this.#effects.onProblems(problems);
    this.#problems = problemText;
    const warningText = JSON.stringify(warnings);
    if (warningText !== this.#warnings) this.#effects.onWarnings(warnings);
    this.#warnings = warningText;
  }
}

function refuseStdin(): Promise<Uint8Array> {
  return Promise.reject(new Error('standard input cannot be watched'));
}
