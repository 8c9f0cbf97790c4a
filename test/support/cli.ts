import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Output } from './namespace.ts';
import { builtProgram } from './program.ts';

/** The program as it is shipped, built for a test. */
export interface Cli {
  /** What starts it: Node and the file. */
  readonly words: readonly string[];
  /** A directory for files of the test that every user may read; removed with the program. */
  readonly directory: string;
  run(args: readonly string[], how?: Surroundings): Promise<Output>;
  remove(): void;
}

export interface Surroundings {
  /** Standard input; empty when absent. */
  readonly stdin?: string;
  /** Put before the command, for a namespace or another user. */
  readonly prefix?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** The built program, with a directory for the files of a test. */
export function buildCli(): Cli {
  const directory = mkdtempSync(join(tmpdir(), 'pw-cli-'));
  chmodSync(directory, 0o755);
  const words = [process.execPath, builtProgram()];
  return {
    words,
    directory,
    run: (args, how = {}) => started([...(how.prefix ?? []), ...words, ...args], how),
    remove: () => {
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/**
 * Put before a command: a user without rights, who may read every file, because the checkout and Node may be in a home
 * directory that nobody else may enter.
 */
export const nobody: readonly string[] = [
  'setpriv',
  '--reuid=65534',
  '--regid=65534',
  '--clear-groups',
  '--no-new-privs',
  '--inh-caps=-all,+dac_read_search',
  '--ambient-caps=-all,+dac_read_search',
];

/** A state of a cluster may be configured around a test; ours comes from nowhere but the command line. */
const environment = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' };

function started(
  [file = '', ...args]: readonly string[],
  { stdin = '', env = {}, cwd }: Surroundings,
): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env: { ...environment, ...env }, ...(cwd === undefined ? {} : { cwd }) });
    const chunks = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (chunks.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (chunks.stderr += text));
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({ exitCode: code ?? undefined, ...chunks });
    });
    // A program that fails early does not read its input.
    child.stdin.on('error', () => undefined);
    child.stdin.end(stdin);
  });
}

/** The node that goldens are rendered for, as options. */
export const goldenNode: readonly string[] = [
  '--hostname-override=node-1',
  '--node-addresses=172.18.0.11,fd00:18::11,127.0.0.1,::1',
  '--cluster-cidr=10.244.0.0/16,fd00:10:244::/48',
];

/** A Service with a node port and no endpoints. */
export function manifest(name: string, nodePort: number): string {
  return `apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec: { type: NodePort, ports: [{ port: 80, nodePort: ${nodePort} }] }
`;
}

/** Writes a file, and the directories it is in; its path. */
export function textFile(directory: string, name: string, text: string): string {
  const path = join(directory, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}
