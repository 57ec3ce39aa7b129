/** The list of threads as the server keeps it: loading, changing, deleting with a way back, searching. */
import { api } from '../lib/api.ts';
import { Refused } from '../lib/http.ts';
import type { Hit, Thread } from '../lib/types.ts';
import { strings } from '../strings.ts';
import { notices } from './notices.svelte.ts';
import { place } from './route.svelte.ts';
import { tellTabs } from './tabs.ts';

const TYPING_MS = 150;
const POLL_MS = 4000;

class Threads {
  all = $state.raw<Thread[] | null>(null);
  next = $state<string | null>(null);
  query = $state('');
  hits = $state.raw<Hit[] | null>(null);
  #searching = new AbortController();

  async load(): Promise<void> {
    const { threads, next } = await api.threads();
    this.all = threads;
    this.next = next;
  }

  async more(): Promise<void> {
    const { threads, next } = await api.threads(this.next ?? undefined);
    this.all = [...(this.all ?? []), ...threads.filter(({ id }) => !this.find(id))];
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
    this.all = [thread, ...(this.all ?? []).filter(({ id }) => id !== thread.id)];
  }

  patch(id: string, change: Partial<Thread>): void {
    this.all = (this.all ?? []).map((thread) => (thread.id === id ? { ...thread, ...change } : thread));
  }

  async change(id: string, change: Partial<Pick<Thread, 'title' | 'pinned'>>): Promise<void> {
    this.patch(id, change);
    this.patch(id, await api.change(id, change));
    tellTabs(id);
  }

  async remove(thread: Thread): Promise<void> {
    this.all = (this.all ?? []).filter(({ id }) => id !== thread.id);
    if (place.thread === thread.id) place.go('#/');
    await api.remove(thread.id);
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
