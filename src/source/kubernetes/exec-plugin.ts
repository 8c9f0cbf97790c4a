import { spawn } from 'node:child_process';
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import type { KubeConfig } from '@kubernetes/client-node';

/**
 * Ends a credential plugin of the kubeconfig after so many milliseconds. client-node waits for it without end, and one
 * that hangs would be joined by another at each try.
 */
export function limitPlugins(config: KubeConfig, timeoutMs: number): void {
  // It has no option for that.
  const { authenticators } = config as unknown as { readonly authenticators: readonly { execFn?: Start }[] };
  for (const authenticator of authenticators) {
    if (authenticator.execFn !== undefined) authenticator.execFn = starter(timeoutMs);
  }
}

type Start = (command: string, args: readonly string[] | null | undefined, options: SpawnOptions) => ChildProcess;

function starter(timeout: number): Start {
  return (command, args, options) => {
    const stdio = ['ignore', 'pipe', 'pipe'] as const;
    const child = spawn(command, args ?? [], { ...options, stdio: [...stdio], timeout, killSignal: 'SIGKILL' });
    // Where no pipe can be opened, client-node would trip over that first, and the error that follows ends the process.
    child.on('error', () => undefined);
    if ((child.stdout as unknown) === undefined) {
      throw new Error(`the credential plugin ${command} cannot be started: no file can be opened for what it prints`);
    }
    return child;
  };
}
