import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { apiService, apiSlice } from './cluster-lab.ts';
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
  /** Services with so many endpoints each, addresses by number, of which the first is `svc-0` at 10.96.0.1. */
  | { readonly order: 'fill'; readonly services: number; readonly endpoints: number }
  /** So many changes of slices that `fill` made, one after the other, each with other endpoints than before. */
  | { readonly order: 'storm'; readonly events: number; readonly services: number; readonly endpoints: number }
  /** A TCP server inside the namespace that sends a word to each client. */
  | { readonly order: 'listen'; readonly address: string; readonly port: number; readonly word: string }
  /** Milliseconds from the change until a client of the address hears the word. */
  | {
      readonly order: 'timeToPacket';
      readonly objects: readonly ApiObject[];
      readonly address: string;
      readonly port: number;
      readonly word: string;
    }
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
    case 'fill':
      for (let index = 0; index < told.services; index++) server.set(...numbered(index, told.endpoints));
      return null;
    case 'storm':
      return storm(told);
    case 'listen':
      return listen(told);
    case 'timeToPacket':
      return timeToPacket(told);
    case 'get':
      return get(told.url);
  }
}

function numbered(index: number, endpoints: number): readonly ApiObject[] {
  const name = `svc-${index}`;
  const clusterIP = dotted(0x0a600001 + index);
  const addresses = Array.from({ length: endpoints }, (_, position) =>
    dotted(0x0a800001 + index * endpoints + position),
  );
  return [apiService(name, { clusterIP, clusterIPs: [clusterIP] }), apiSlice(`${name}-x`, name, addresses)];
}

/** In portions as an API server would deliver them, with time for the clients to take each. */
async function storm(told: Extract<ApiOrder, { order: 'storm' }>): Promise<null> {
  for (let event = 0; event < told.events; event++) {
    const name = `svc-${event % told.services}`;
    const addresses = Array.from({ length: told.endpoints }, (_, index) =>
      dotted(0x0a900000 + ((event * told.endpoints + index) & 0xfffff)),
    );
    server.set(apiSlice(`${name}-x`, name, addresses));
    if (event % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return null;
}

function dotted(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
}

function listen({ address, port, word }: { address: string; port: number; word: string }): Promise<null> {
  const listener = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end(word);
  });
  return new Promise((resolve) => {
    listener.listen(port, address, () => {
      resolve(null);
    });
  });
}

async function timeToPacket(told: Extract<ApiOrder, { order: 'timeToPacket' }>): Promise<number> {
  const start = performance.now();
  server.set(...told.objects);
  while (performance.now() - start < 300_000) {
    if ((await heard(told.address, told.port)) === told.word) return performance.now() - start;
  }
  throw new Error(`nobody says ${told.word} at ${told.address}:${told.port}`);
}

function heard(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    let words = '';
    const socket = connect({ host, port, timeout: 50 });
    socket.on('data', (chunk: Buffer) => (words += String(chunk)));
    socket.on('error', () => undefined);
    socket.on('timeout', () => socket.destroy());
    // A busy loop would take from the agent what it is to be measured with.
    socket.on('close', () =>
      setTimeout(
        () => {
          resolve(words);
        },
        words === '' ? 2 : 0.5,
      ),
    );
  });
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
