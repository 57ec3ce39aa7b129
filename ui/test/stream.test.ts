import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Refused } from '../src/lib/http.ts';
import { asked, events, type Event, type Follow } from '../src/lib/stream.ts';

const encoder = new TextEncoder();

function sse(...list: [id: number, name: string, data: unknown][]): string {
  return list.map(([id, name, data]) => `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`).join('');
}

function body(pieces: string[], end: 'close' | 'error' = 'close'): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(encoder.encode(piece));
      if (end === 'error') controller.error(new TypeError('network error'));
      else controller.close();
    },
  });
}

/** A body that breaks only after it has been read. */
function breaking(text: string): ReadableStream<Uint8Array> {
  let given = false;
  return new ReadableStream({
    pull(controller) {
      if (given) controller.error(new TypeError('network error'));
      else controller.enqueue(encoder.encode(text));
      given = true;
    },
  });
}

const INIT = sse([1, 'init', { request_id: 'r' }]);
const ok = (stream: ReadableStream<Uint8Array>): Response => new Response(stream, { headers: { 'X-Request-ID': 'r' } });
const calls = vi.fn<(path: string, init: RequestInit) => Promise<Response>>();

async function all(stream: AsyncGenerator<Event>): Promise<Event[]> {
  const found: Event[] = [];
  for await (const event of stream) found.push(event);
  return found;
}

beforeEach(() => {
  vi.stubGlobal('fetch', calls);
  vi.stubGlobal('sessionStorage', { getItem: () => null });
  vi.stubGlobal('localStorage', { getItem: () => null });
  vi.stubGlobal('addEventListener', () => undefined);
  vi.stubGlobal('removeEventListener', () => undefined);
  vi.useFakeTimers({ shouldAdvanceTime: true, advanceTimeDelta: 200 });
});

afterEach(() => {
  calls.mockReset();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe('events', () => {
  it('are the same wherever the bytes are cut', async () => {
    const text = sse([1, 'token', { t: 'é…' }], [2, 'token', { t: 'b' }]);
    const whole = await all(events(body([text])));
    const bytes = encoder.encode(text);
    for (let cut = 1; cut < bytes.length; cut++) {
      const stream = new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(bytes.slice(0, cut));
          controller.enqueue(bytes.slice(cut));
          controller.close();
        },
      });
      expect(await all(events(stream))).toEqual(whole);
    }
  });

  it('do not include comments', async () => {
    expect(await all(events(body([': ping\n', sse([1, 'token', { t: 'a' }])])))).toHaveLength(1);
  });
});

describe('a request that goes on without its reader', () => {
  it('is followed by the id that the gateway gives', async () => {
    const signal = new AbortController().signal;
    const follow = vi.fn<Follow>(async function* () {
      yield await Promise.resolve({ id: 1, name: 'init', data: {} });
    });
    calls.mockResolvedValueOnce(Response.json({ request_id: 'r' }, { status: 202 }));
    expect(await all(asked('t', { content: 'x' }, signal, vi.fn(), follow))).toHaveLength(1);
    expect(new Headers(calls.mock.calls[0]?.[1].headers).get('Prefer')).toBe('respond-async');
    expect(follow.mock.calls[0]?.[0]).toBe('r');
  });
});

describe('a request whose answer is a stream of its own', () => {
  const follow: Follow = () => {
    throw new Error('it is read where it is');
  };
  const ask = (signal = new AbortController().signal, onCut = vi.fn()): Promise<Event[]> => all(asked('t', { content: 'x' }, signal, onCut, follow));

  it('ends with done', async () => {
    calls.mockResolvedValueOnce(ok(body([INIT, sse([2, 'done', { ok: true }])])));
    expect((await ask()).map(({ name }) => name)).toEqual(['init', 'done']);
    expect(calls).toHaveBeenCalledOnce();
  });

  it('is resumed after the last event that was seen, without a gap or a double', async () => {
    const onCut = vi.fn();
    calls.mockResolvedValueOnce(ok(breaking(INIT + sse([2, 'token', { t: 'a' }]))));
    calls.mockResolvedValueOnce(ok(body([sse([2, 'token', { t: 'a' }], [3, 'token', { t: 'b' }], [4, 'done', { ok: true }])])));
    expect((await ask(undefined, onCut)).map(({ id }) => id)).toEqual([1, 2, 3, 4]);
    expect(calls.mock.calls[1]?.[0]).toBe('/v1/requests/r/stream');
    expect(new Headers(calls.mock.calls[1]?.[1].headers).get('Last-Event-ID')).toBe('2');
    expect(onCut).toHaveBeenCalledOnce();
  });

  it('is resumed when the connection ends quietly', async () => {
    calls.mockResolvedValueOnce(ok(body([INIT])));
    calls.mockResolvedValueOnce(ok(body([sse([2, 'done', { ok: true }])])));
    expect((await ask()).map(({ name }) => name)).toEqual(['init', 'done']);
  });

  it('is resumed after several refused connections', async () => {
    calls.mockResolvedValueOnce(ok(breaking(INIT)));
    calls.mockRejectedValueOnce(new TypeError('failed to fetch'));
    calls.mockRejectedValueOnce(new TypeError('failed to fetch'));
    calls.mockResolvedValueOnce(ok(body([sse([2, 'done', { ok: true }])])));
    expect((await ask()).at(-1)?.name).toBe('done');
    expect(calls).toHaveBeenCalledTimes(4);
  });

  it('is not asked twice when the gateway was never reached', async () => {
    calls.mockRejectedValue(new TypeError('failed to fetch'));
    await expect(ask()).rejects.toThrow('failed to fetch');
    expect(calls).toHaveBeenCalledOnce();
  });

  it('hands on a refusal in the gateway’s words', async () => {
    calls.mockResolvedValueOnce(Response.json({ error: { message: 'no such model', code: 'model_not_found' } }, { status: 404 }));
    await expect(ask()).rejects.toMatchObject(new Refused(404, { message: 'no such model', code: 'model_not_found' }));
  });

  it('is given up when its reader leaves', async () => {
    const controller = new AbortController();
    calls.mockResolvedValueOnce(ok(breaking(INIT)));
    calls.mockImplementation(() => {
      controller.abort();
      return Promise.reject(new DOMException('aborted', 'AbortError'));
    });
    await expect(ask(controller.signal)).rejects.toThrow('aborted');
  });

  it('is resumed when the connection falls silent', async () => {
    const silent = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(encoder.encode(INIT)) });
    calls.mockImplementationOnce((_, { signal }) => {
      signal?.addEventListener('abort', () => void silent.cancel().catch(() => undefined));
      return Promise.resolve(ok(silent.pipeThrough(new TransformStream(), signal ? { signal } : {})));
    });
    calls.mockResolvedValueOnce(ok(body([sse([2, 'done', { ok: true }])])));
    const found = ask();
    await vi.advanceTimersByTimeAsync(60_000);
    expect((await found).map(({ name }) => name)).toEqual(['init', 'done']);
  });
});
