import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Feed, type Heard } from '../src/lib/feed.ts';
import { lines } from '../src/lib/lines.ts';
import { Wire } from '../src/lib/wire.ts';
import type { Event } from '../src/lib/stream.ts';

const encoder = new TextEncoder();
const END = 'event: end\ndata: {}\n\n';

const sse = (request: string, ...list: [id: number, name: string][]): string =>
  list.map(([id, name]) => `id: ${request}:${id}\nevent: ${name}\ndata: {}\n\n`).join('');

/** A connection that a test writes to. */
class Line {
  readonly path: string;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  readonly response: Response;
  aborted = false;

  constructor(path: string, init: RequestInit) {
    this.path = path;
    this.response = new Response(new ReadableStream({ start: (controller) => void (this.#controller = controller) }));
    init.signal?.addEventListener('abort', () => (this.aborted = true));
  }

  say(text: string): void {
    this.#controller.enqueue(encoder.encode(text));
  }

  end(): void {
    this.#controller.close();
  }
}

let open: Line[] = [];
const gateway = vi.fn((path: string, init: RequestInit) => {
  const line = new Line(path, init);
  open.push(line);
  return Promise.resolve(line.response);
});
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

class Shelf {
  readonly #kept = new Map<string, string>();
  get length(): number {
    return this.#kept.size;
  }
  key = (index: number): string | null => [...this.#kept.keys()][index] ?? null;
  getItem = (name: string): string | null => this.#kept.get(name) ?? null;
  setItem = (name: string, value: string): void => void this.#kept.set(name, value);
  removeItem = (name: string): void => void this.#kept.delete(name);
  clear = (): void => this.#kept.clear();
}

/** The tabs' channel, at once and in order. */
class Channel {
  static all: Channel[] = [];
  #listen: (event: { data: unknown }) => void = () => undefined;
  constructor(readonly name: string) {
    Channel.all.push(this);
  }
  addEventListener(_: string, listen: (event: { data: unknown }) => void): void {
    this.#listen = listen;
  }
  postMessage(data: unknown): void {
    for (const other of Channel.all) if (other !== this && other.name === this.name) other.#listen({ data: structuredClone(data) });
  }
  close(): void {
    Channel.all = Channel.all.filter((one) => one !== this);
  }
}

/** Locks whose holder a test can end. */
class Locks {
  #waiting: (() => Promise<void>)[] = [];
  #release: () => void = () => undefined;
  #held = false;

  request = (_: string, __: unknown, work: () => Promise<void>): Promise<void> => {
    this.#waiting.push(work);
    this.#next();
    return Promise.resolve();
  };

  #next(): void {
    const work = this.#held ? undefined : this.#waiting.shift();
    if (!work) return;
    this.#held = true;
    const free = (): void => {
      this.#held = false;
      this.#next();
    };
    this.#release = free;
    void work().then(free);
  }

  /** As if the holder's tab was closed. */
  lose(): void {
    this.#release();
  }
}

beforeEach(() => {
  open = [];
  Channel.all = [];
  vi.stubGlobal('fetch', gateway);
  vi.stubGlobal('BroadcastChannel', Channel);
  for (const name of ['sessionStorage', 'localStorage']) vi.stubGlobal(name, new Shelf());
  vi.stubGlobal('addEventListener', () => undefined);
  vi.stubGlobal('removeEventListener', () => undefined);
});

afterEach(() => {
  gateway.mockClear();
  vi.unstubAllGlobals();
});

describe('one connection', () => {
  function feed(live = true): { feed: Feed; heard: Heard[] } {
    const heard: Heard[] = [];
    return { feed: new Feed({ hear: (one) => heard.push(one), alive: () => undefined, live: () => live }), heard };
  }

  it('asks for all that is wanted at once', async () => {
    const { feed: one } = feed();
    one.want('a', 0);
    one.want('b', 4);
    await settled();
    expect(open.map(({ path }) => path)).toEqual(['/v1/requests/events?follow=a:0,b:4']);
    one.close();
  });

  it('is opened again with everything from where it was, when more is wanted', async () => {
    const { feed: one, heard } = feed();
    one.want('a', 0);
    await settled();
    open[0]?.say(sse('a', [1, 'init'], [2, 'token']));
    await settled();
    one.want('b', 0);
    await settled();
    expect(open[0]?.aborted).toBe(true);
    expect(open[1]?.path).toBe('/v1/requests/events?follow=a:2,b:0');
    expect(heard).toHaveLength(2); // and no cut
    one.close();
  });

  it('that is cut is said to be, and opened again', async () => {
    const { feed: one, heard } = feed();
    one.want('a', 0);
    await settled();
    open[0]?.say(sse('a', [1, 'init']));
    open[0]?.end();
    await vi.waitFor(() => expect(open[1]?.path).toBe('/v1/requests/events?follow=a:1'));
    expect(heard.at(-1)).toEqual({ cut: true });
    one.close();
  });

  it('ends when everything has ended', async () => {
    const { feed: one } = feed();
    one.want('a', 0);
    await settled();
    open[0]?.say(sse('a', [1, 'init'], [2, 'done']) + END);
    await settled();
    expect(open).toHaveLength(1);
    one.close();
  });

  it('hands on what one request is refused, and goes on with the others', async () => {
    const { feed: one, heard } = feed();
    one.want('a', 0);
    one.want('b', 0);
    await settled();
    open[0]?.say(`event: gone\ndata: {"request_id": "a", "status": 404, "error": {"message": "none"}}\n\n${sse('b', [1, 'init'])}`);
    await settled();
    expect(heard).toEqual([
      { request: 'a', refused: { status: 404, problem: { message: 'none' } } },
      { request: 'b', event: { id: 1, name: 'init', data: {} } },
    ]);
    one.close();
  });

  it('is asked for again and again where none may be kept', async () => {
    const { feed: one } = feed(false);
    one.want('a', 0);
    await settled();
    open[0]?.say(sse('a', [1, 'init']) + END);
    await vi.waitFor(() => expect(open[1]?.path).toBe('/v1/requests/events?follow=a:1&live=0'), { timeout: 3000 });
    one.close();
  });
});

describe('several tabs', () => {
  const locks = (): LockManager & Locks => new Locks() as unknown as LockManager & Locks;
  const tab = (shared: LockManager | undefined, name = 'me'): Wire => new Wire(() => name, shared);

  function following(wire: Wire, request: string): { found: Event[]; leave: () => void; over: Promise<unknown> } {
    const found: Event[] = [];
    const controller = new AbortController();
    const read = async (): Promise<void> => {
      for await (const event of wire.follow(request, controller.signal, () => undefined)) found.push(event);
    };
    return { found, leave: () => controller.abort(), over: read().catch((error: unknown) => error) };
  }

  it('share one connection', async () => {
    const shared = locks();
    const tabs = Array.from({ length: 7 }, () => tab(shared));
    const reading = tabs.map((one, index) => following(one, `request-${index}`));
    await settled();
    expect(open.filter(({ aborted }) => !aborted)).toHaveLength(1);
    for (let index = 0; index < 7; index++) open.at(-1)?.say(sse(`request-${index}`, [1, 'init'], [2, 'done']));
    await Promise.all(reading.map(({ over }) => over));
    expect(reading.map(({ found }) => found.length)).toEqual(Array(7).fill(2));
  });

  it('see a request from its first event, however late they come, and nothing twice', async () => {
    const shared = locks();
    const first = following(tab(shared), 'a');
    await settled();
    open[0]?.say(sse('a', [1, 'init'], [2, 'token']));
    await settled();
    const late = following(tab(shared), 'a');
    await settled();
    expect(open[1]?.path).toBe('/v1/requests/events?follow=a:0');
    open[1]?.say(sse('a', [1, 'init'], [2, 'token'], [3, 'done']));
    await Promise.all([first.over, late.over]);
    for (const { found } of [first, late]) expect(found.map(({ id }) => id)).toEqual([1, 2, 3]);
  });

  it('go on where the one that led was, when it is closed', async () => {
    const shared = locks();
    const leader = tab(shared);
    void following(leader, 'of-the-leader');
    const other = following(tab(shared), 'a');
    await settled();
    open.at(-1)?.say(sse('a', [1, 'init']));
    await settled();
    Channel.all.shift()?.close();
    shared.lose();
    await settled();
    expect(open.at(-1)?.path).toBe('/v1/requests/events?follow=a:1');
    open.at(-1)?.say(sse('a', [2, 'done']));
    await other.over;
    expect(other.found.map(({ id }) => id)).toEqual([1, 2]);
  });

  it('with different keys have different connections', async () => {
    const shared = { request: (_: string, __: unknown, work: () => Promise<void>) => work() } as unknown as LockManager;
    following(tab(shared, 'mine'), 'a');
    following(tab(shared, 'yours'), 'b');
    await settled();
    expect(open.map(({ path }) => path)).toEqual(['/v1/requests/events?follow=a:0', '/v1/requests/events?follow=b:0']);
  });

  it('let go of what nobody follows any more', async () => {
    const shared = locks();
    const leader = tab(shared);
    following(leader, 'a').leave();
    const other = following(tab(shared), 'b');
    await settled();
    other.leave();
    await settled();
    expect(open.every(({ aborted }) => aborted)).toBe(true);
  });

  it('without locks keep no more than three connections', () => {
    const store = new Shelf() as unknown as Storage;
    const taken = ['a', 'b', 'c', 'd', 'e'].map((name) => lines(name, store));
    expect(taken.map((one) => one.take())).toEqual([true, true, true, false, false]);
    taken[0]?.free();
    expect(taken[4]?.take()).toBe(true);
  });
});
