import { randomBytes } from 'node:crypto';
import { ApiError, printable } from './api-error.ts';
import type { Clock, Log } from './effects.ts';
import type { ApiClient } from './request.ts';

/** What an Event is about. */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  /** Absent for cluster-scoped kinds. */
  readonly namespace?: string;
  readonly uid?: string;
}

/** One Event of the events.k8s.io/v1 API, in the words of its fields. */
export interface EventRecord {
  readonly regarding: EventSubject;
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, for programs. */
  readonly reason: string;
  /** CamelCase: what was being done. */
  readonly action: string;
  /** For people. */
  readonly note: string;
}

/** Tells people through the API server, as far as that is possible: never blocks, never throws. */
export interface EventRecorder {
  record(event: EventRecord): void;
  /** Records nothing more; what was recorded has a second to be sent. */
  stop(): Promise<void>;
}

/** Who records, and through what. */
export interface EventRecorderOptions {
  readonly client: ApiClient;
  /** As kube-proxy: `kube-proxy`. */
  readonly reportingController: string;
  /** As kube-proxy: `kube-proxy-HOSTNAME`. */
  readonly reportingInstance: string;
}

/** What the recorder takes from the outside world. */
export interface EventEffects {
  readonly clock: Clock;
  readonly log: Log;
  /** The time of day that an Event carries. */
  readonly date: () => Date;
}

/** The same Event is not sent again within this time. */
const sameEventMs = 600_000;
const maxRemembered = 1000;
/** So many may be sent at once; then one each `refillMs`. */
const burst = 25;
const refillMs = 5000;
const maxWaiting = 100;
const sendTimeoutMs = 10_000;
/** For the Event that says why the agent ends. */
const lastSendMs = 1000;
/** Limits of the API; it counts a note in bytes. */
const maxNoteBytes = 1024;
const maxNameLength = 253;
const maxInstanceLength = 128;

/** A recorder that posts Events one after the other, repeats none, and gives up those it cannot post. */
export function createEventRecorder(options: EventRecorderOptions, effects: EventEffects): EventRecorder {
  return new Recorder(options, effects);
}

class Recorder implements EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #effects: EventEffects;
  readonly #stop = new AbortController();
  #isStopped = false;
  readonly #sentAt = new Map<string, number>();
  #waiting: EventRecord[] = [];
  #sending: Promise<void> | undefined;
  #tokens = burst;
  #refilledAt: number;
  #isFailing = false;

  constructor(options: EventRecorderOptions, effects: EventEffects) {
    this.#options = options;
    this.#effects = effects;
    this.#refilledAt = effects.clock.now();
  }

  record(event: EventRecord): void {
    if (this.#isStopped || this.#isRepeated(event) || !this.#takeToken()) return;
    if (this.#waiting.length >= maxWaiting) return;
    this.#waiting.push(event);
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
    });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    const cancel = this.#effects.clock.after(lastSendMs, () => {
      this.#waiting = [];
      this.#stop.abort();
    });
    await this.#sending;
    cancel();
  }

  #isRepeated(event: EventRecord): boolean {
    const now = this.#effects.clock.now();
    const key = JSON.stringify(event);
    const sentAt = this.#sentAt.get(key);
    if (sentAt !== undefined && now - sentAt < sameEventMs) return true;
    this.#sentAt.delete(key);
    this.#sentAt.set(key, now);
    const [oldest] = this.#sentAt.keys();
    if (this.#sentAt.size > maxRemembered && oldest !== undefined) this.#sentAt.delete(oldest);
    return false;
  }

  #takeToken(): boolean {
    const now = this.#effects.clock.now();
    const refill = Math.floor((now - this.#refilledAt) / refillMs);
    this.#tokens = Math.min(burst, this.#tokens + refill);
    this.#refilledAt += refill * refillMs;
    if (this.#tokens === 0) return false;
    this.#tokens -= 1;
    return true;
  }

  async #send(): Promise<void> {
    for (let event = this.#waiting.shift(); event !== undefined; event = this.#waiting.shift()) {
      try {
        await this.#post(event);
        this.#isFailing = false;
      } catch (error) {
        this.#report(error);
        this.#sentAt.delete(JSON.stringify(event));
        // What stands in the way of one stands in the way of all.
        if (!(error instanceof ApiError)) this.#waiting = [];
      }
    }
  }

  async #post(event: EventRecord): Promise<void> {
    const namespace = event.regarding.namespace ?? 'default';
    const timeout = new AbortController();
    const end = () => {
      timeout.abort();
    };
    const cancel = this.#effects.clock.after(sendTimeoutMs, end);
    this.#stop.signal.addEventListener('abort', end);
    if (this.#stop.signal.aborted) end();
    try {
      await this.#options.client.json({
        path: `/apis/events.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/events`,
        body: this.#body(event, namespace),
        signal: timeout.signal,
      });
    } finally {
      cancel();
      this.#stop.signal.removeEventListener('abort', end);
    }
  }

  #body(event: EventRecord, namespace: string): object {
    const { regarding, type, reason, action, note } = event;
    const suffix = `.${randomBytes(8).toString('hex')}`;
    const { reportingController, reportingInstance } = this.#options;
    return {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: `${regarding.name.slice(0, maxNameLength - suffix.length)}${suffix}`, namespace },
      // Microseconds, as the field's type has them.
      eventTime: this.#effects.date().toISOString().replace('Z', '000Z'),
      reportingController,
      reportingInstance: reportingInstance.slice(0, maxInstanceLength),
      regarding,
      type,
      reason,
      action,
      note: shortened(note),
    };
  }

  /** One line when Events cannot be posted, until one could. */
  #report(error: unknown): void {
    if (this.#isFailing || this.#stop.signal.aborted) return;
    this.#isFailing = true;
    const message = printable(error instanceof Error ? error.message : String(error));
    this.#effects.log.warn('cannot post Kubernetes Events, going on without', { error: message });
  }
}

function shortened(note: string): string {
  const bytes = Buffer.from(note);
  if (bytes.length <= maxNoteBytes) return note;
  const end = '…';
  // A character that is cut in two is decoded as a mark of its own.
  const kept = bytes.subarray(0, maxNoteBytes - Buffer.byteLength(end)).toString('utf8');
  return kept.replace(/\uFFFD+$/, '') + end;
}
