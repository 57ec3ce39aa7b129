/** The gateway's requests and numbers, asked for again while somebody looks. */
import { api } from '../lib/api.ts';
import type { Performance, Requests, Running, Window } from '../lib/metrics.ts';
import type { Problem } from '../lib/types.ts';
import { problemOf } from './live.ts';

const REQUESTS_MS = 2000;
const NUMBERS_MS = 15_000;

export class Activity {
  requests = $state.raw<Requests | null>(null);
  performance = $state.raw<Performance | null>(null);
  problem = $state.raw<Problem | null>(null);
  window = $state<Window>('hour');

  watch(): () => void {
    void this.#look();
    const timer = setInterval(() => void this.#look(), REQUESTS_MS);
    return () => clearInterval(timer);
  }

  /** Follows one window; to be called again for another. */
  measure(window: Window): () => void {
    void this.#count(window);
    const timer = setInterval(() => void this.#count(window), NUMBERS_MS);
    return () => clearInterval(timer);
  }

  async stop(request: Running): Promise<void> {
    await api.stop(request.id).catch((error: unknown) => (this.problem = problemOf(error)));
    await this.#look();
  }

  async #look(): Promise<void> {
    if (document.hidden) return;
    await this.#kept(async () => (this.requests = await api.requests()));
  }

  async #count(window: Window): Promise<void> {
    await this.#kept(async () => {
      const found = await api.performance(window);
      if (this.window === window) this.performance = found;
    });
  }

  async #kept(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
      this.problem = null;
    } catch (error) {
      this.problem = problemOf(error);
    }
  }
}
