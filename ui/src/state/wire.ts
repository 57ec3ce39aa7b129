/** How the events of requests come to this page. */
import { key } from '../lib/key.ts';
import { asked, type Event } from '../lib/stream.ts';
import type { Ask } from '../lib/types.ts';
import { Wire } from '../lib/wire.ts';

/** Other names for other keys, of which none is told. */
function mark(text: string): string {
  let hash = 0n;
  for (const letter of text) hash = BigInt.asUintN(64, (hash ^ BigInt(letter.codePointAt(0) ?? 0)) * 0x100000001b3n + 1n);
  return hash.toString(36);
}

const shared = new Wire(() => `llmproxy.events.${mark(`${location.pathname} ${key() ?? ''}`)}`);

export const wire = {
  asked: (thread: string, body: Ask, signal: AbortSignal, onCut: () => void): AsyncGenerator<Event> =>
    asked(thread, body, signal, onCut, (request, inner, cut) => shared.follow(request, inner, cut)),
  followed: (request: string, signal: AbortSignal, onCut: () => void): AsyncGenerator<Event> => shared.follow(request, signal, onCut),
};
