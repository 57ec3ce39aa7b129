/** Messages that wait until the answer before them is done. One that was stopped or failed holds them: their writer decides. */
import type { Content } from '../lib/types.ts';
import type { Conversation } from './conversation.svelte.ts';
import { hub } from './hub.svelte.ts';

export interface Waiting {
  id: number;
  content: Content;
}

const nameOf = (thread: string): string => `llmproxy.queue.${thread}`;
/** Pictures are too large for the session's storage; they are lost with the page, the words are not. */
const KEPT = 100_000;

let ids = 0;

function stored(thread: string | null): Waiting[] {
  const text = thread === null ? null : sessionStorage.getItem(nameOf(thread));
  return ((text ? JSON.parse(text) : []) as Content[]).map((content) => ({ id: ++ids, content }));
}

class Queue {
  #of = $state.raw(new Map<Conversation, Waiting[]>());

  constructor() {
    hub.whenIdle((conversation) => this.#next(conversation));
  }

  get shown(): Waiting[] {
    return this.#of.get(hub.shown) ?? [];
  }

  /** What waited in a thread when the page was left. */
  restore(): void {
    const { shown } = hub;
    const found = this.#of.has(shown) ? [] : stored(shown.id);
    if (found.length) this.#put(shown, found);
  }

  add(content: Content): void {
    this.#put(hub.shown, [...this.shown, { id: ++ids, content }]);
  }

  /** Takes one out, to be written anew or let go. */
  take(id: number): Waiting | undefined {
    const found = this.shown.find((one) => one.id === id);
    this.#put(hub.shown, this.shown.filter((one) => one.id !== id));
    return found;
  }

  /** Sends the first although what it waited for did not end well. */
  send(): void {
    this.#send(hub.shown);
  }

  #next(conversation: Conversation): void {
    const last = conversation.messages.get(conversation.head);
    if (last?.state === 'complete') this.#send(conversation);
  }

  #send(conversation: Conversation): void {
    const [first, ...rest] = this.#of.get(conversation) ?? [];
    if (!first || conversation.running) return;
    this.#put(conversation, rest);
    void conversation.ask(first.content).catch(() => this.#put(conversation, [first, ...(this.#of.get(conversation) ?? [])]));
  }

  #put(conversation: Conversation, waiting: Waiting[]): void {
    const of = new Map(this.#of);
    if (waiting.length) of.set(conversation, waiting);
    else of.delete(conversation);
    this.#of = of;
    this.#keep(conversation.id, waiting);
  }

  #keep(thread: string | null, waiting: Waiting[]): void {
    if (thread === null) return;
    const text = JSON.stringify(waiting.map(({ content }) => content));
    if (waiting.length && text.length < KEPT) sessionStorage.setItem(nameOf(thread), text);
    else sessionStorage.removeItem(nameOf(thread));
  }
}

export const queue = new Queue();
