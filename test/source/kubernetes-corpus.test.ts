import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect } from 'chai';
import { ApiError } from '../../src/source/kubernetes/api-error.ts';
import { loadCredentials } from '../../src/source/kubernetes/credentials.ts';
import { LineSplitter } from '../../src/source/kubernetes/line-splitter.ts';
import { list } from '../../src/source/kubernetes/listing.ts';
import { Reflector } from '../../src/source/kubernetes/reflector.ts';
import { createClient } from '../../src/source/kubernetes/request.ts';
import { services } from '../../src/source/kubernetes/resource.ts';
import type { StoreChange } from '../../src/source/kubernetes/store.ts';
import { Store } from '../../src/source/kubernetes/store.ts';
import type { Service } from '../../src/source/objects.ts';
import { lineLog } from '../support/cluster-lab.ts';
import { ManualClock, until } from '../support/manual-clock.ts';

/** An answer of a real API server: the request's path and query, the status, the bytes of the body. */
interface Recording {
  readonly url: URL;
  readonly status: number;
  readonly body: Buffer;
}

function recording(name: string): Recording {
  const bytes = readFileSync(join(import.meta.dirname, '../corpus/watch', `${name}.txt`));
  const head = bytes.indexOf('\n\n');
  const [request = '', answer = ''] = bytes.subarray(0, head).toString().split('\n');
  return {
    url: new URL(request.slice('GET '.length), 'http://recorded'),
    status: Number(answer.slice('HTTP '.length)),
    body: bytes.subarray(head + 2),
  };
}

const streams = ['watch-list', 'watch'] as const;

describe('cluster source: what a real API server sent', () => {
  const effects = () => ({ clock: new ManualClock(), random: () => 0.5, log: lineLog([]) });

  /** Answers requests by `pick`, and runs `use` with a client for that server. */
  async function served(
    pick: (url: URL) => Recording,
    use: (client: ReturnType<typeof createClient>) => Promise<void>,
  ) {
    const server = createServer((request, response) => {
      const { status, body } = pick(new URL(request.url ?? '/', 'http://recorded'));
      response.writeHead(status, { 'Content-Type': 'application/json' });
      // A watch stays open after what was recorded.
      if (request.url?.includes('watch=true') === true && status === 200) response.write(body);
      else response.end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const master = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const client = createClient(loadCredentials({ master }, { env: {} }), effects());
    try {
      await use(client);
    } finally {
      client.close();
      server.closeAllConnections();
      server.close();
    }
  }

  /** What happened to the Services, in short. */
  function shortly({ before, after }: StoreChange<Service>): string {
    const name = (after ?? before)?.metadata.name ?? '';
    if (before === undefined) return `+${name}`;
    return after === undefined ? `-${name}` : `~${name}`;
  }

  for (const [name, first] of [
    ['watch-list', 'watch-list'],
    ['watch', 'list'],
  ] as const) {
    it(`follows the recorded stream ${name}`, async () => {
      const changes: string[] = [];
      const store = new Store<Service>((change) => changes.push(shortly(change)));
      let isSynced = false;
      const refusal: Recording = { url: new URL('http://x'), status: 422, body: Buffer.from('{"message":"no"}') };
      const pick = (url: URL) => {
        if (url.searchParams.get('watch') !== 'true') return recording('list');
        if (!url.searchParams.has('sendInitialEvents')) return recording('watch');
        return first === 'list' ? refusal : recording('watch-list');
      };
      await served(pick, async (client) => {
        const onProgress = () => {
          if (!isSynced) changes.push('synced');
          isSynced = true;
        };
        const ignore = () => undefined;
        const options = { client, silenceMs: 90_000, onProgress, onReconnect: ignore, onReceived: ignore };
        const reflector = new Reflector(services, store, options, effects());
        reflector.start();
        await until('the last bookmark', () => changes.at(-1) === '-web-3');
        expect(reflector.status()).to.include({ isSynced: true, lists: 1 });
        await reflector.stop();
      });
      const initial = ['+kubernetes', '+web-0', '+web-1', '+web-2', '+web-3', '+web-4', 'synced'];
      const events = ['~web-0', '-web-1', '-web-2', '+web-2', '+web-1', '-web-3'];
      expect(changes).to.deep.equal([...initial, ...events]);
      const names = [...store.values()].map(({ metadata }) => `${metadata.name} ${String(metadata.uid).slice(0, 4)}`);
      expect(names.toSorted()).to.deep.equal([
        'kubernetes de8f',
        'web-0 bdcc',
        'web-1 d127',
        'web-2 8c57',
        'web-4 8666',
      ]);
    });
  }

  it('puts the recorded pages together, and understands the recorded refusals', async () => {
    const store = new Store<Service>(() => undefined);
    const options = { store, signal: new AbortController().signal };
    const second = recording('list-page-2');
    const pages = (url: URL) =>
      url.searchParams.get('continue') === second.url.searchParams.get('continue') ? second : recording('list-page-1');
    await served(pages, async (client) => {
      const { arrivals, resourceVersion } = await list(client, services, options);
      expect(resourceVersion).to.equal('651');
      expect([...arrivals.keys()]).to.deep.equal(
        ['kubernetes', 'web-0', 'web-1', 'web-2', 'web-3', 'web-4'].map((name) => `default/${name}`),
      );
    });
    for (const [name, status] of [
      ['list-continue-invalid', 400],
      ['watch-unauthorized', 401],
    ] as const) {
      await served(
        () => recording(name),
        async (client) => {
          const error = await client.json({ path: '/api/v1/services' }).catch((reason: unknown) => reason);
          expect(error).to.be.instanceOf(ApiError).and.include({ status });
        },
      );
    }
  });

  for (const name of streams) {
    it(`gets the same lines of ${name} wherever the chunks end`, () => {
      const body = Buffer.concat([recording(name).body, Buffer.from('{"smile":"😀é→"}\n\n{"last":1}\n')]);
      const expected = body
        .toString()
        .split('\n')
        .filter((line) => line !== '');
      fc.assert(
        fc.property(fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 50 }), (sizes) => {
          const lines: string[] = [];
          const splitter = new LineSplitter((line) => lines.push(line));
          for (let start = 0, turn = 0; start < body.length; turn += 1) {
            const end = start + (sizes[turn % sizes.length] ?? 1);
            splitter.push(body.subarray(start, end));
            start = end;
          }
          expect(lines).to.deep.equal(expected);
          expect(splitter.pendingBytes).to.equal(0);
        }),
        { numRuns: 60 },
      );
    });
  }
});
