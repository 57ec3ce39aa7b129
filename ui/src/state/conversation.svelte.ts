/** The open thread: which of its branches is shown, and everything one can ask of it. */
import { blank } from '../lib/answer.ts';
import { api } from '../lib/api.ts';
import { Unreachable } from '../lib/http.ts';
import type { Event } from '../lib/stream.ts';
import { beside, leaf, path, siblings } from '../lib/tree.ts';
import type { Ask, Content, Message, Problem, Thread } from '../lib/types.ts';
import { Answers, type Owner } from './answers.svelte.ts';
import { gateway } from './gateway.svelte.ts';
import { problemOf } from './live.ts';
import { place } from './route.svelte.ts';
import { parameters, settings } from './settings.svelte.ts';
import { tellTabs, whenTabsTell } from './tabs.ts';
import { threads } from './threads.svelte.ts';

/** How often a thread is looked at again while an answer runs that cannot be followed. */
const LOOK_MS = 1000;

let locals = 0;
const localId = (): string => `local-${++locals}`;
const isLocal = (id: string | null): boolean => id?.startsWith('local-') ?? false;

class Conversation implements Owner {
  thread = $state.raw<Thread | null>(null);
  head = $state<string | null>(null);
  loading = $state(false);
  problem = $state.raw<Problem | null>(null);
  /** The model that was chosen for this thread's next answer. */
  chosen = $state<string | null>(null);
  readonly answers = new Answers(this);
  readonly messages = this.answers.messages;
  readonly path = $derived(path(this.messages, this.head));
  readonly model = $derived(this.chosen ?? this.thread?.model ?? gateway.preferred);

  constructor() {
    whenTabsTell((id) => {
      void threads.load().catch(() => undefined);
      if (id === this.thread?.id) void this.refresh();
    });
  }

  get running(): Message[] {
    return this.answers.running;
  }

  stop(): void {
    this.answers.stop();
  }

  choose(model: string): void {
    this.chosen = model;
    settings.model = model;
  }

  /** Leaves the open thread, whose answers go on at the gateway, and opens another; null is a new one. */
  async open(id: string | null): Promise<void> {
    if (id !== null && id === this.thread?.id) return;
    this.#leave();
    if (id === null) return;
    this.loading = true;
    const still = (): boolean => place.thread === id;
    try {
      const { thread, messages } = await api.messages(id);
      if (still()) this.#take(thread, messages);
    } catch (error) {
      if (still()) this.problem = problemOf(error);
    } finally {
      if (still()) this.loading = false;
    }
  }

  #leave(): void {
    this.answers.leave();
    this.thread = this.head = this.problem = this.chosen = null;
    this.loading = false;
  }

  #take(thread: Thread, messages: Message[]): void {
    this.thread = thread;
    if (!this.answers.busy || this.head === null) this.head = thread.head;
    this.answers.take(messages);
  }

  /** Sees what other tabs and other devices did to this thread. */
  async refresh(): Promise<void> {
    const id = this.thread?.id;
    const found = id ? await api.messages(id).catch(() => null) : null;
    if (found && id === this.thread?.id) this.#take(found.thread, found.messages);
  }

  async ask(content: Content, options: { parent?: string | null; second?: string | null; taken?: () => void } = {}): Promise<void> {
    const thread = await this.#ensured();
    const parent = options.parent === undefined ? this.head : options.parent;
    const question: Message = { ...blank(localId(), thread.id, parent), role: 'user', content, state: 'complete', phase: null };
    const placed = options.parent !== undefined || isLocal(this.head) ? { parent_id: this.#known(parent) } : {};
    const { second } = options;
    const taken = (id: string): void => {
      options.taken?.();
      if (second) void this.#compare(id, second);
    };
    await this.#ask({ content, ...this.#choice(), ...placed }, question, question.id, taken);
  }

  /** The nearest message at or above `id` that the gateway knows. */
  #known(id: string | null): string | null {
    return path(this.messages, id).findLast((message) => !isLocal(message.id))?.id ?? null;
  }

  async #ask(body: Ask, question: Message | null, parent: string | null, taken: (id: string) => void = () => undefined): Promise<void> {
    if (!this.thread) return;
    const answer = blank(localId(), this.thread.id, parent);
    this.head = answer.id;
    await this.answers.ask({ body, question, answer, taken });
  }

  /** Another answer to a question that is there: regenerate, retry, or a second opinion. */
  async again(question: string, model: string | null = null): Promise<void> {
    await this.#ask({ answer_to: question, ...this.#choice(model) }, null, question);
  }

  async continue(answer: Message): Promise<void> {
    await this.#ask({ continue: answer.id, ...this.#choice(answer.model) }, null, answer.parent_id);
  }

  /** A question that never reached the gateway is asked again as it was; others get another answer. */
  async retry(answer: Message): Promise<void> {
    const unasked = this.answers.unasked(answer.id);
    if (unasked) await this.answers.ask(unasked);
    else if (answer.parent_id) await this.again(answer.parent_id);
  }

  /** Asks a second model the same, and shows both answers beside each other. */
  async #compare(question: string, model: string): Promise<void> {
    await Promise.all([this.comparing(question), this.again(question, model)]);
  }

  async comparing(question: string | null): Promise<void> {
    const { thread } = this;
    if (thread) this.#put(await api.change(thread.id, { settings: { ...thread.settings, compare: question } }));
  }

  async keep(answer: Message): Promise<void> {
    await Promise.all([this.#setHead(leaf(this.messages, answer.id)), this.comparing(null)]);
  }

  /** Shows the branch of a message that is not on the shown one, for this reader only. */
  reveal(id: string): void {
    if (!this.path.some((message) => message.id === id)) this.head = leaf(this.messages, id);
  }

  async switch(message: Message, step: 1 | -1): Promise<void> {
    const next = beside(this.messages, message, step);
    if (next) await this.#setHead(next);
  }

  versions(message: Message): { at: number; all: number } {
    const row = siblings(this.messages, message);
    return { at: row.findIndex(({ id }) => id === message.id) + 1, all: row.length };
  }

  async #setHead(head: string): Promise<void> {
    this.head = head;
    if (!this.thread || isLocal(head)) return;
    this.#put(await api.change(this.thread.id, { head }));
    tellTabs(this.thread.id);
  }

  #choice(model: string | null = null): Partial<Ask> {
    const name = model ?? this.model;
    const mode = gateway.mode(name);
    if (mode) return { ...parameters(), mode };
    return { ...parameters(), ...(name ? { model: name } : {}) };
  }

  /** The thread to ask in; a new chat becomes a thread with its first question. */
  async #ensured(): Promise<Thread> {
    if (this.thread) return this.thread;
    try {
      const thread = await api.create(gateway.mode(this.model) ? null : this.model);
      this.thread = thread;
      this.problem = null;
      threads.put(thread);
      place.toThread(thread.id);
      return thread;
    } catch (error) {
      this.problem = problemOf(error);
      throw error;
    }
  }

  renamed(local: string, answer: Message): void {
    if (this.head === local || this.head === null) this.head = answer.id;
  }

  heard({ name, data }: Event): void {
    if (name === 'title') this.#titled(data as { thread_id: string; title: string });
    if (name === 'init' || name === 'done') void threads.load().catch(() => undefined);
  }

  #titled({ thread_id, title }: { thread_id: string; title: string }): void {
    threads.patch(thread_id, { title });
    if (this.thread?.id === thread_id) this.thread = { ...this.thread, title };
  }

  #put(thread: Thread): void {
    if (this.thread?.id === thread.id) this.thread = thread;
    threads.patch(thread.id, thread);
  }

  async #look(): Promise<void> {
    const id = this.thread?.id;
    if (!id) return;
    try {
      const { thread, messages } = await api.messages(id);
      if (id === this.thread?.id) this.#take(thread, messages);
    } catch (error) {
      if (id !== this.thread?.id) return;
      if (error instanceof Unreachable) this.lost();
      else this.answers.fail(problemOf(error));
    }
  }

  /** What the gateway keeps of the thread, after a while: for a stream that cannot be followed. */
  lost(): void {
    setTimeout(() => void this.#look(), LOOK_MS);
  }
}

export const conversation = new Conversation();
