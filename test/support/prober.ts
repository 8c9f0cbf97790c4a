import { createServer } from 'node:net';
import { createSocket } from 'node:dgram';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { probe } from './prober-probe.ts';
import { startTraffic } from './prober-traffic.ts';
import { sendInits } from './prober-sctp.ts';
import type { Traffic } from './prober-traffic.ts';
import type { Command, Identity, Listener } from './prober-messages.ts';

/*
 * The one process that lives in a namespace of the lab: it serves, probes and keeps up traffic there. Commands come
 * as JSON lines on stdin, answers go as JSON lines to stdout; it ends when stdin does, so it cannot outlive the tests.
 */

const probesInFlight = 96; // More at once would make two busy cores answer later than the probes wait.
const running = new Map<number, Traffic>();
const served = new Set<string>();
const waiting: (() => void)[] = [];
let inFlight = 0;

createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line) as Command;
  answer(command).then(
    (result) => {
      reply({ id: command.id, result });
    },
    (error: unknown) => {
      reply({ id: command.id, error: error instanceof Error ? error.message : String(error) });
    },
  );
});
process.stdin.on('end', () => process.exit(0));

function reply(message: object): void {
  process.stdout.write(JSON.stringify(message) + '\n');
}

async function answer(command: Command): Promise<unknown> {
  switch (command.do) {
    case 'listen':
      await Promise.all(command.listeners.map((listener) => serveOnce(command.name, listener)));
      return {};
    case 'probe':
      return Promise.all(Array.from({ length: command.count }, () => inTurn(() => probe(command.probe))));
    case 'send inits':
      await sendInits(command.inits);
      return {};
    case 'start traffic':
      running.set(command.id, startTraffic(command.load));
      return {};
    case 'stop traffic': {
      const report = await running.get(command.traffic)?.stop();
      running.delete(command.traffic);
      return report;
    }
    case 'forget clients':
      forgetClients();
      return {};
  }
}

const clientLists = '/proc/net/xt_recent'; // Absent before the first rule that uses one.

function forgetClients(): void {
  if (!existsSync(clientLists)) return;
  for (const list of readdirSync(clientLists)) writeFileSync(`${clientLists}/${list}`, '/');
}

async function inTurn<T>(use: () => Promise<T>): Promise<T> {
  if (inFlight >= probesInFlight) await new Promise<void>((resolve) => waiting.push(resolve));
  inFlight += 1;
  try {
    return await use();
  } finally {
    inFlight -= 1;
    waiting.shift()?.();
  }
}

async function serveOnce(name: string, listener: Listener): Promise<void> {
  const key = `${listener.protocol} ${listener.address} ${listener.port}`;
  if (served.has(key)) return;
  served.add(key);
  await (listener.protocol === 'tcp' ? serveTcp(name, listener) : serveUdp(name, listener));
}

/** Says who it is once, then echoes, which long-lived connections use. */
function serveTcp(name: string, { address, port }: Listener): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy()); // Probes end by a reset.
    socket.write(greeting({ name, address, port, client: socket.remoteAddress ?? '' }));
    socket.on('data', (data) => socket.write(data));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port, backlog: 1024 }, resolve);
  });
}

function serveUdp(name: string, { address, port }: Listener): Promise<void> {
  const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 1 << 20 });
  socket.on('message', (_data, client) => {
    socket.send(greeting({ name, address, port, client: client.address }), client.port, client.address, () => {
      // A reply that rules refuse to carry is what the prober is there to notice.
    });
  });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address, port }, () => {
      socket.removeListener('error', reject);
      socket.on('error', () => undefined); // An ICMP error for a prober that has gone.
      resolve();
    });
  });
}

function greeting(identity: Identity): string {
  return JSON.stringify(identity) + '\n';
}
