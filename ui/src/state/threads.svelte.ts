/** The list of threads as the server keeps it: loading, changing, deleting with a way back, searching. */
import { api } from '../lib/api.ts';
import { Refused, Unreachable } from '../lib/http.ts';
import { isTemporary, lasting } from '../lib/temporary.ts';
import type { Hit, Thread, ThreadSettings } from '../lib/types.ts';
import { keepUntold, untold, untoldThreads, without } from '../lib/untold.ts';
import { strings } from '../strings.ts';
import { notices } from './notices.svelte.ts';
import { place } from './route.svelte.ts';
import { tellTabs } from './tabs.ts';

const TYPING_MS = 150;
const POLL_MS = 4000;

/** Whether a thread comes after another in the list: pinned ones are first, then the latest. */
const isAfter = (one: Thread, other: Thread): boolean => (one.pinned === other.pinned ? one.updated_at <= other.updated_at : other.pinned);

class Threads {
  all = $state.raw<Thread[] | null>(null);
  next = $state<string | null>(null);
  query = $state('');
  /** Only chats with this tag are listed. */
  tag = $state<string | null>(null);
  hits = $state.raw<Hit[] | null>(null);
  #searching = new AbortController();

  /** Looks at the newest page; what was shown before it stays, as far as it is not among those that have come up. */
  async load(): Promise<void> {
    const first = this.all === null;
    const { threads: found, next } = await api.threads();
    const threads = lasting(found).map((thread) => ({ ...thread, settings: { ...thread.settings, ...untold(thread.id) } }));
    const known = new Set(threads.map(({ id }) => id));
    const last = threads.at(-1);
    const older = next && last ? (this.all ?? []).filter((one) => !known.has(one.id) && isAfter(one, last)) : [];
    this.all = [...threads, ...older];
    if (older.length === 0) this.next = next;
    if (first) this.tell();
  }

  /** Tells the gateway the settings that it did not take when they were made; the open thread tells its own. */
  tell(): void {
    for (const id of untoldThreads()) if (id !== place.thread) void this.set(id, untold(id)).catch(() => undefined);
  }

  /** A refusal leaves nothing to be shown; a gateway that is away is waited for. */
  failed(error: unknown): void {
    if (error instanceof Refused) this.all ??= [];
  }

  close(): void {
    this.all = this.next = this.hits = null;
    this.query = '';
  }

  async more(): Promise<void> {
    const { threads, next } = await api.threads(this.next ?? undefined);
    this.all = [...(this.all ?? []), ...lasting(threads).filter(({ id }) => !this.find(id))];
    this.next = next;
  }

  /** While answers run unseen, looks after them, so that the list says when they are done. */
  watch(): () => void {
    const timer = setInterval(() => {
      if (!document.hidden && this.all?.some(({ running }) => running.length > 0)) void this.load().catch(() => undefined);
    }, POLL_MS);
    return () => clearInterval(timer);
  }

  find(id: string | null): Thread | undefined {
    return this.all?.find((thread) => thread.id === id);
  }

  /** Puts a thread as it is now into the list. */
  put(thread: Thread): void {
    if (isTemporary(thread)) return;
    this.all = [thread, ...(this.all ?? []).filter(({ id }) => id !== thread.id)];
  }

  patch(id: string, change: Partial<Thread>): void {
    this.all = (this.all ?? []).map((thread) => (thread.id === id ? { ...thread, ...change } : thread));
  }

  async change(id: string, change: Partial<Pick<Thread, 'title' | 'pinned'>> & { settings?: ThreadSettings }): Promise<void> {
    const before = this.find(id);
    this.patch(id, change);
    try {
      this.patch(id, await api.change(id, change));
    } catch (error) {
      if (before) this.patch(id, Object.fromEntries(Object.keys(change).map((name) => [name, before[name as keyof Thread]])));
      throw error;
    }
    tellTabs(id);
  }

  /** Changes settings of a chat that is not open. They are kept until the gateway has taken or refused them. */
  async set(id: string, change: ThreadSettings): Promise<void> {
    keepUntold(id, { ...untold(id), ...change });
    try {
      const thread = this.find(id) ?? (await api.messages(id, { tail: 1 })).thread;
      await this.change(id, { settings: { ...thread.settings, ...change } });
    } catch (error) {
      if (error instanceof Unreachable) throw error;
      keepUntold(id, without(untold(id), change));
      throw error;
    }
    keepUntold(id, without(untold(id), change));
  }

  async remove(thread: Thread): Promise<void> {
    const before = this.all;
    const open = place.thread === thread.id;
    this.all = (before ?? []).filter(({ id }) => id !== thread.id);
    if (open) place.go('#/');
    try {
      // Nobody will read what is being written there; Undo brings back what there was of it.
      await Promise.all(thread.running.map((request) => api.cancel(request).catch(() => undefined)));
      await api.remove(thread.id);
    } catch (error) {
      this.all = before;
      if (open && place.route.page === 'chat' && place.thread === null) place.toThread(thread.id);
      throw error;
    }
    tellTabs(thread.id);
    const run = (): void => void this.restore(thread);
    notices.say(strings.threads.deleted(thread.title || strings.threads.untitled), { label: strings.threads.undo, run });
  }

  async restore(thread: Thread): Promise<void> {
    this.put(await api.change(thread.id, { deleted: false }));
    tellTabs(thread.id);
    place.toThread(thread.id);
  }

  async search(query: string): Promise<void> {
    this.query = query;
    this.#searching.abort();
    this.#searching = new AbortController();
    const { signal } = this.#searching;
    if (!query.trim()) {
      this.hits = null;
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, TYPING_MS));
    if (signal.aborted) return;
    const found = await api.search(query, signal).catch((error: unknown) => (error instanceof Refused ? [] : null));
    if (!signal.aborted && found) this.hits = found;
  }
}

export const threads = new Threads();
