import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a command left behind; a non-zero exit code is a value, not an exception. */
export interface Output {
  /** Absent when a signal ended the command. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** A network namespace of a test, loopback up, with an xtables lock file of its own. */
export interface Namespace {
  readonly name: string;
  /** Put before a command so that it runs inside. */
  readonly prefix: readonly string[];
  /** Environment for commands inside: keeps the legacy tools away from the host's lock. */
  readonly env: Readonly<Record<string, string>>;
  exec(command: string, ...args: string[]): Promise<Output>;
  /** As `exec`, but a non-zero exit code throws with the command and its stderr. */
  mustExec(command: string, ...args: string[]): Promise<string>;
  /** Runs a shell script inside, for set-up that needs input or several commands. */
  shell(script: string): Promise<string>;
  /** Ends what still runs inside and removes the namespace. Twice does no harm. */
  remove(): Promise<void>;
}

const alive = new Map<string, string>();
let counter = 0;

/** Makes a namespace; needs root. It goes away by `remove()`, and in any case when this process ends. */
export async function createNamespace(label: string): Promise<Namespace> {
  if (process.getuid?.() !== 0) throw new Error('network namespaces need root: run these tests as root');
  removeAtExit();
  counter += 1;
  const name = `pw${process.pid}-${counter}-${label}`;
  const directory = mkdtempSync(join(tmpdir(), 'pw-namespace-'));
  alive.set(name, directory);
  const prefix = ['ip', 'netns', 'exec', name];
  const env = { XTABLES_LOCKFILE: join(directory, 'xtables.lock') };
  const exec = (command: string, ...args: string[]) => output([...prefix, command, ...args], env);
  const mustExec = async (command: string, ...args: string[]) =>
    succeed([command, ...args], await exec(command, ...args));
  await succeed(['ip', 'netns', 'add', name], await output(['ip', 'netns', 'add', name], {}));
  await mustExec('ip', 'link', 'set', 'lo', 'up');
  return {
    name,
    prefix,
    env,
    exec,
    mustExec,
    shell: (script) => mustExec('sh', '-euc', script),
    remove: () => {
      removeNow(name);
      return Promise.resolve();
    },
  };
}

/** Runs `use` with a namespace that is removed afterwards, also on failure. */
export async function withNamespace<T>(label: string, use: (namespace: Namespace) => Promise<T>): Promise<T> {
  const namespace = await createNamespace(label);
  try {
    return await use(namespace);
  } finally {
    await namespace.remove();
  }
}

function output(argv: readonly string[], env: Readonly<Record<string, string>>): Promise<Output> {
  const [file = '', ...args] = argv;
  const options = { env: { ...process.env, LC_ALL: 'C', ...env }, maxBuffer: 256 * 1024 * 1024 };
  return new Promise((resolve) => {
    execFile(file, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : undefined;
      resolve({
        exitCode: code,
        stdout,
        stderr: error !== null && code === undefined ? stderr + error.message : stderr,
      });
    });
  });
}

function succeed(argv: readonly string[], result: Output): Promise<string> {
  if (result.exitCode === 0) return Promise.resolve(result.stdout);
  return Promise.reject(new Error(`${argv.join(' ')}: exit code ${String(result.exitCode)}: ${result.stderr.trim()}`));
}

/** Synchronous, because it also runs while the process exits. */
function removeNow(name: string): void {
  const directory = alive.get(name);
  if (directory === undefined) return;
  alive.delete(name);
  for (const pid of pidsInside(name)) endProcess(pid);
  try {
    execFileSync('ip', ['netns', 'delete', name], { stdio: 'ignore' });
  } catch {
    // It was never made, or somebody removed it by hand.
  }
  rmSync(directory, { recursive: true, force: true });
}

function pidsInside(name: string): readonly number[] {
  try {
    const text = execFileSync('ip', ['netns', 'pids', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return text.split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended between the listing and now.
  }
}

let isWatchingExit = false;

function removeAtExit(): void {
  if (isWatchingExit) return;
  isWatchingExit = true;
  const removeAll = () => {
    for (const name of [...alive.keys()]) removeNow(name);
  };
  process.on('exit', removeAll);
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) {
    process.once(signal, () => {
      removeAll();
      process.kill(process.pid, signal);
    });
  }
}
