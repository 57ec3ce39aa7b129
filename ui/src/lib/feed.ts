/** One connection for the events of many requests, opened again where it is cut or where more is wanted of it. */
import { ask, Refused } from './http.ts';
import { pause, sent, WAITS_MS, watched, type Event, type Sent } from './stream.ts';
import type { Problem } from './types.ts';

/** So many requests the gateway lets one follow at once. */
const MOST = 32;
/** How often a tab asks again that must not keep a connection. */
const POLL_MS = 700;

export type Heard =
  | { request: string; event: Event }
  | { request: string; refused: { status: number; problem: Problem } }
  | { cut: true };

export interface Listener {
  hear(heard: Heard): void;
  /** Something came, be it a sign of life only. */
  alive(): void;
  /** Whether a connection may be kept; else what there is, is asked for again and again. */
  live(): boolean;
}

type End = 'ended' | 'cut' | 'again';

export class Feed {
  /** The last event of each request that was heard. */
  readonly #wanted = new Map<string, number>();
  #controller = new AbortController();
  #running = false;
  #closed = false;

  constructor(readonly listener: Listener) {}

  /** Gives the events of a request after `last`, and those that come. */
  want(request: string, last: number): void {
    const heard = this.#wanted.get(request);
    if (heard !== undefined && heard <= last) return;
    this.#wanted.set(request, last);
    this.#again();
  }

  drop(request: string): void {
    this.#wanted.delete(request);
    if (this.#wanted.size === 0) this.#controller.abort();
  }

  close(): void {
    this.#closed = true;
    this.#wanted.clear();
    this.#controller.abort();
  }

  #again(): void {
    this.#controller.abort();
    if (!this.#running && !this.#closed) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    let tries = 0;
    await Promise.resolve(); // what is wanted in one go is asked for in one go
    while (this.#wanted.size > 0) {
      this.#controller = new AbortController();
      const { signal } = this.#controller;
      const live = this.listener.live();
      const end = await this.#listen(live, signal, () => (tries = 0));
      if (end === 'cut') this.listener.hear({ cut: true });
      if (end === 'cut' || (end === 'ended' && live && this.#wanted.size > 0)) await pause(WAITS_MS[Math.min(tries++, WAITS_MS.length - 1)] ?? 0, signal);
      else if (end === 'ended' && this.#wanted.size > 0) await pause(POLL_MS, signal);
    }
    this.#running = false;
  }

  async #listen(live: boolean, signal: AbortSignal, heard: () => void): Promise<End> {
    const watch = watched(signal);
    try {
      const response = await ask(this.#path(live), { signal: watch.signal });
      const alive = (): void => {
        watch.alive();
        this.listener.alive();
      };
      for await (const event of sent(response.body as ReadableStream<Uint8Array>, { signal: watch.signal, alive })) {
        if (signal.aborted) return 'again';
        heard();
        if (event.name === 'end') return 'ended';
        this.#take(event);
      }
      return signal.aborted ? 'again' : 'cut';
    } catch (error) {
      if (signal.aborted) return 'again';
      if (!(error instanceof Refused) || error.status >= 500) return 'cut';
      this.#refuse([...this.#wanted.keys()], error.status, error.problem);
      return 'ended';
    } finally {
      watch.end();
    }
  }

  #path(live: boolean): string {
    const follow = [...this.#wanted].slice(0, MOST).map(([request, last]) => `${encodeURIComponent(request)}:${last}`);
    return `/v1/requests/events?follow=${follow.join(',')}${live ? '' : '&live=0'}`;
  }

  #take({ id, name, data }: Sent): void {
    if (name === 'gone') {
      const { request_id, status, error } = data as { request_id: string; status: number; error: Problem };
      this.#refuse([request_id], status, error);
      return;
    }
    const at = id.lastIndexOf(':');
    const [request, number] = [id.slice(0, at), Number(id.slice(at + 1))];
    if (!this.#wanted.has(request)) return;
    this.#wanted.set(request, number);
    if (name === 'done') this.#leave(request);
    this.listener.hear({ request, event: { id: number, name, data } });
  }

  #refuse(requests: string[], status: number, problem: Problem): void {
    for (const request of requests) {
      this.#leave(request);
      this.listener.hear({ request, refused: { status, problem } });
    }
  }

  /** One that has ended makes room for one that waits. */
  #leave(request: string): void {
    const waits = this.#wanted.size > MOST;
    this.#wanted.delete(request);
    if (waits) this.#again();
  }
}
