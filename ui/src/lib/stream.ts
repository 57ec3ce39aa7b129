/** One request's events, from wherever they were left: cut connections are resumed until `done` came. */
import { createParser } from 'eventsource-parser';
import { ask, Refused, sending } from './http.ts';
import type { Ask } from './types.ts';

/** Longer silence than two of the gateway's pings means that the connection is dead without having said so. */
const SILENCE_MS = 40_000;
export const WAITS_MS = [200, 500, 1000, 2000, 5000];

export interface Event {
  id: number;
  name: string;
  data: unknown;
}

export interface Position {
  request: string | null;
  /** The last event seen; 0 is none. */
  last: number;
}

type Connect = (signal: AbortSignal) => Promise<Response>;

/** An event as it is sent, with its id as text. */
export interface Sent extends Omit<Event, 'id'> {
  id: string;
}

/** What to do while a connection is read. */
interface Reading {
  alive?: () => void;
  signal?: AbortSignal;
}

/** The events of one connection; ends when the connection does, or the signal says so. */
export async function* sent(body: ReadableStream<Uint8Array>, { alive, signal }: Reading = {}): AsyncGenerator<Sent> {
  const ready: Sent[] = [];
  const parser = createParser({
    onEvent: ({ id, event, data }) => ready.push({ id: id ?? '', name: event ?? 'message', data: JSON.parse(data) }),
  });
  const reader = body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>).getReader();
  signal?.addEventListener('abort', () => void reader.cancel().catch(() => undefined));
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      alive?.();
      parser.feed(value);
      yield* ready.splice(0);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

export async function* events(body: ReadableStream<Uint8Array>, reading: Reading = {}): AsyncGenerator<Event> {
  for await (const { id, ...event } of sent(body, reading)) yield { id: Number(id), ...event };
}

/** Aborts a connection that has gone silent, or whose owner has left. */
export function watched(owner: AbortSignal): { signal: AbortSignal; alive: () => void; end: () => void } {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  let timer = setTimeout(abort, SILENCE_MS);
  owner.addEventListener('abort', abort);
  if (owner.aborted) abort();
  return {
    signal: controller.signal,
    alive: () => {
      clearTimeout(timer);
      timer = setTimeout(abort, SILENCE_MS);
    },
    end: () => {
      clearTimeout(timer);
      owner.removeEventListener('abort', abort);
    },
  };
}

async function* connection(connect: Connect, signal: AbortSignal, position: Position): AsyncGenerator<Event> {
  const watch = watched(signal);
  try {
    const response = await connect(watch.signal);
    position.request ??= response.headers.get('X-Request-ID');
    if (response.body) yield* events(response.body, watch);
  } finally {
    watch.end();
  }
}

function resumed(position: Position): Connect {
  const path = `/v1/requests/${encodeURIComponent(position.request ?? '')}/stream`;
  return (signal) => ask(path, { signal, headers: { 'Last-Event-ID': String(position.last) } });
}

/** The pause before the next try; ends early when the network is back or the owner leaves. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(wake, ms);
    function wake(): void {
      clearTimeout(timer);
      removeEventListener('online', wake);
      signal.removeEventListener('abort', wake);
      resolve();
    }
    addEventListener('online', wake);
    signal.addEventListener('abort', wake);
  });
}

/** A refusal is final; everything else (cut, silence, no network) is tried again while the request is known. */
function final(error: unknown, position: Position, signal: AbortSignal): boolean {
  return signal.aborted || error instanceof Refused || position.request === null;
}

async function* unbroken(connect: Connect, position: Position, signal: AbortSignal, onCut: () => void): AsyncGenerator<Event> {
  for (let tries = 0; ; tries++) {
    try {
      for await (const event of connection(connect, signal, position)) {
        if (event.id !== 0 && event.id <= position.last) continue;
        position.last = event.id || position.last;
        tries = 0;
        yield event;
        if (event.name === 'done') return;
      }
    } catch (error) {
      if (final(error, position, signal)) throw error;
    }
    if (position.request === null) throw new Error('The answer ended before it began.');
    onCut();
    await pause(WAITS_MS[Math.min(tries, WAITS_MS.length - 1)] ?? 0, signal);
    connect = resumed(position);
  }
}

/** Follows a request that runs already, from its first event. */
export type Follow = (request: string, signal: AbortSignal, onCut: () => void) => AsyncGenerator<Event>;

/** Asks without waiting for the answer, which is followed then; a key that may not have that gets it as a stream of its own. */
export async function* asked(thread: string, body: Ask, signal: AbortSignal, onCut: () => void, follow: Follow): AsyncGenerator<Event> {
  const path = `/threads/${encodeURIComponent(thread)}/messages/stream`;
  const response = await ask(path, { ...sending('POST', body), headers: { Prefer: 'respond-async' }, signal });
  if (response.status === 202) {
    const { request_id } = (await response.json()) as { request_id: string };
    yield* follow(request_id, signal, onCut);
  } else {
    yield* unbroken(() => Promise.resolve(response), { request: null, last: 0 }, signal, onCut);
  }
}
