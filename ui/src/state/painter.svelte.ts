/** What paints Markdown, loaded when the first message is fetched or written: a page without words needs none of it. */
import type { Painter } from '../markdown/painter.ts';

class Painting {
  /** Null until it is loaded. */
  Painter = $state.raw<typeof Painter | null>(null);
  #loading: Promise<void> | null = null;

  load(): Promise<void> {
    this.#loading ??= import('../markdown/painter.ts').then(
      ({ Painter: loaded }) => void (this.Painter = loaded),
      () => void (this.#loading = null), // without a network: the words are shown as they are, and the next message tries again
    );
    return this.#loading;
  }
}

export const painting = new Painting();
