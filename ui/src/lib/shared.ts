/** What streams need, in one piece that is loaded when the first one is followed. */
import { key } from './key.ts';
import { Wire } from './wire.ts';

export { asked } from './stream.ts';

/** Other names for other keys, of which none is told. */
function mark(text: string): string {
  let hash = 0n;
  for (const letter of text) hash = BigInt.asUintN(64, (hash ^ BigInt(letter.codePointAt(0) ?? 0)) * 0x100000001b3n + 1n);
  return hash.toString(36);
}

export const wire = new Wire(() => `llmproxy.events.${mark(`${location.pathname} ${key() ?? ''}`)}`);
