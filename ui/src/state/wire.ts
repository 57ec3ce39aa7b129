/** How the events of requests come to this page. */
import type { Event } from '../lib/stream.ts';
import type { Ask } from '../lib/types.ts';
import { painting } from './painter.svelte.ts';

const streams = (): Promise<typeof import('../lib/shared.ts')> => import('../lib/shared.ts');

export const wire = {
  async *asked(thread: string, body: Ask, signal: AbortSignal, onCut: () => void): AsyncGenerator<Event> {
    const { asked, wire: shared } = await streams();
    yield* asked(thread, body, signal, onCut, (request, inner, cut) => shared.follow(request, inner, cut));
  },
  async *followed(request: string, signal: AbortSignal, onCut: () => void): AsyncGenerator<Event> {
    yield* (await streams()).wire.follow(request, signal, onCut);
  },
};

/** Whoever writes will ask, and read. */
function prepare(): void {
  void streams().catch(() => undefined);
  void painting.load();
}

addEventListener('input', prepare, { once: true });
