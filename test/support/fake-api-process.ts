import { createInterface } from 'node:readline';
import type { ApiObject } from './fake-api-storage.ts';
import { startFakeApiServer } from './fake-api-server.ts';
import type { Misbehaviour } from './fake-api-server.ts';

/** What the process is told, one JSON object a line; each is answered by a line with the same id. */
export type ApiOrder =
  | { readonly order: 'set'; readonly objects: readonly ApiObject[] }
  | { readonly order: 'delete'; readonly kind: string; readonly name: string }
  | { readonly order: 'misbehave'; readonly what: Misbehaviour }
  | { readonly order: 'goDown' }
  | { readonly order: 'comeBack' }
  | { readonly order: 'forgetHistory' }
  | { readonly order: 'cutWatches' }
  /** Events posted so far. */
  | { readonly order: 'events' }
  /** A request from inside the namespace, to whatever listens there. */
  | { readonly order: 'get'; readonly url: string };

// A fake API server for a network namespace of its own: this process is started inside it.
const server = await startFakeApiServer();
answer(0, { url: server.url });
for await (const line of createInterface(process.stdin)) {
  const { id, ...told } = JSON.parse(line) as ApiOrder & { id: number };
  answer(id, await obey(told));
}
process.exit();

async function obey(told: ApiOrder): Promise<unknown> {
  switch (told.order) {
    case 'set':
      server.set(...told.objects);
      return null;
    case 'delete':
      server.delete(told.kind, told.name);
      return null;
    case 'misbehave':
      server.misbehave(told.what);
      return null;
    case 'goDown':
      await server.goDown();
      return null;
    case 'comeBack':
      await server.comeBack();
      return null;
    case 'forgetHistory':
      server.forgetHistory();
      return null;
    case 'cutWatches':
      await server.goDown();
      await server.comeBack();
      return null;
    case 'events':
      return server.events;
    case 'get':
      return get(told.url);
  }
}

async function get(url: string): Promise<{ status: number; body: string }> {
  try {
    const response = await fetch(url);
    return { status: response.status, body: await response.text() };
  } catch (error) {
    return { status: 0, body: String(error) };
  }
}

function answer(id: number, result: unknown): void {
  process.stdout.write(`${JSON.stringify({ id, result })}\n`);
}
