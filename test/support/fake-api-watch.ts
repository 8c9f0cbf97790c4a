import type { ServerResponse } from 'node:http';
import { dribble } from './fake-api-fault.ts';
import type { ApiResource, Selection, StoredChange } from './fake-api-storage.ts';
import { eventOf, typeOf } from './fake-api-storage.ts';

/** A watch that a client has open. */
export interface LiveWatch {
  readonly resource: ApiResource;
  readonly selection: Selection;
  /** Sends these bytes as they are. */
  write(text: string | Buffer): void;
  /** Sends an event as a line. */
  send(type: string, object: unknown): void;
  /** Sends an ERROR event with this code. */
  fail(code: number): void;
  /** Sends nothing of what happens from now on, and forgets it. */
  mute(): void;
  /** Ends it in good order. */
  end(): void;
  /** Breaks the connection. */
  cut(): void;
}

/** The server's side of a watch. */
export class FakeWatch implements LiveWatch {
  readonly resource: ApiResource;
  readonly selection: Selection;
  readonly #response: ServerResponse;
  readonly #from: number;
  readonly #pieceBytes: number | undefined;
  #isMute = false;
  #queue: Promise<void> = Promise.resolve();

  /** `from`: the version that the client knows; what is not newer is not sent, as by the real one. */
  constructor(
    resource: ApiResource,
    watch: { readonly selection: Selection; readonly from: number; readonly pieceBytes: number | undefined },
    response: ServerResponse,
  ) {
    this.resource = resource;
    this.selection = watch.selection;
    this.#response = response;
    this.#from = watch.from;
    this.#pieceBytes = watch.pieceBytes;
  }

  publish(change: StoredChange): void {
    if ((change.after ?? change.before)?.kind !== typeOf(this.resource).kind || change.version <= this.#from) return;
    const event = eventOf(change, this.selection);
    if (event !== undefined) this.send(event.type, event.object);
  }

  bookmark(version: number, annotations: object): void {
    if (version < this.#from) return;
    const { kind, apiVersion } = typeOf(this.resource);
    const metadata = { resourceVersion: String(version), annotations };
    this.send('BOOKMARK', { kind, apiVersion, metadata, spec: {} });
  }

  send(type: string, object: unknown): void {
    if (!this.#isMute) this.write(`${JSON.stringify({ type, object })}\n`);
  }

  fail(code: number): void {
    const reason = code === 410 ? 'Expired' : 'InternalError';
    this.send('ERROR', { kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'made to fail', reason, code });
  }

  write(text: string | Buffer): void {
    const bytes = Buffer.from(text);
    const pieceBytes = this.#pieceBytes;
    if (pieceBytes === undefined) this.#response.write(bytes);
    else this.#queue = this.#queue.then(() => dribble(this.#response, bytes, pieceBytes));
  }

  mute(): void {
    this.#isMute = true;
  }

  end(): void {
    this.#response.end();
  }

  cut(): void {
    // What was written still leaves, or the client might not see it.
    this.#response.socket?.destroySoon();
  }
}
