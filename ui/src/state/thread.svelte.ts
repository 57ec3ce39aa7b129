/** One thread as the gateway keeps it, with the settings that were changed here and are not told yet. */
import { api, type Change } from '../lib/api.ts';
import type { Thread, ThreadSettings } from '../lib/types.ts';
import { keepUntold, untold } from '../lib/untold.ts';
import { threads } from './threads.svelte.ts';

/** How long to wait for the next letter of a setting. */
const TYPING_MS = 300;

export class ThreadState {
  #told = $state.raw<Thread | null>(null);
  #untold = $state.raw<ThreadSettings>({});
  readonly value: Thread | null = $derived(this.#told && { ...this.#told, settings: { ...this.#told.settings, ...this.#untold } });
  #timer: ReturnType<typeof setTimeout> | undefined;
  #telling: Promise<void> = Promise.resolve();

  /** The thread as the gateway has just said it. */
  put(thread: Thread): void {
    const first = this.#told === null;
    this.#told = thread;
    const left = first ? untold(thread.id) : {};
    if (Object.keys(left).length) this.set(left);
  }

  titled(title: string): void {
    if (this.#told) this.#told = { ...this.#told, title };
  }

  /** Takes a setting at once, and tells the gateway when no further one comes. */
  set(change: ThreadSettings): void {
    this.#owe({ ...this.#untold, ...change });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.change(), TYPING_MS);
  }

  #owe(settings: ThreadSettings): void {
    this.#untold = settings;
    if (this.#told) keepUntold(this.#told.id, settings);
  }

  get untold(): boolean {
    return Object.keys(this.#untold).length > 0;
  }

  /** Tells the gateway what is not told yet, one change after the other, so that no late answer undoes a newer one. */
  change(members: Change = {}, settings: ThreadSettings = {}): Promise<void> {
    this.#owe({ ...this.#untold, ...settings });
    this.#telling = this.#telling.catch(() => undefined).then(() => this.#tell(members));
    return this.#telling;
  }

  async #tell(members: Change): Promise<void> {
    clearTimeout(this.#timer);
    const [thread, sent] = [this.#told, this.#untold];
    const settings = this.untold ? { settings: { ...thread?.settings, ...sent } } : {};
    const change = { ...members, ...settings };
    if (!thread || Object.keys(change).length === 0) return;
    const changed = await api.change(thread.id, change);
    this.#owe(Object.fromEntries(Object.entries(this.#untold).filter(([name, value]) => sent[name] !== value)));
    this.put(changed);
    threads.patch(thread.id, changed);
  }
}
