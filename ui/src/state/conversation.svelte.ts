/** The open thread: its tree of messages, the answers being written, and everything one can ask of it. */
import { SvelteMap } from 'svelte/reactivity';
import { blank } from '../lib/answer.ts';
import { api } from '../lib/api.ts';
import { asked, followed, type Event } from '../lib/stream.ts';
import { beside, leaf, path, siblings } from '../lib/tree.ts';
import type { Ask, Content, Message, Problem, Thread } from '../lib/types.ts';
import { gateway } from './gateway.svelte.ts';
import { Live, problemOf, type Watcher } from './live.ts';
import { narrator } from './narrator.svelte.ts';
import { place } from './route.svelte.ts';
import { parameters, settings } from './settings.svelte.ts';
import { tellTabs, whenTabsTell } from './tabs.ts';
import { threads } from './threads.svelte.ts';

/** How often a thread is looked at again while an answer runs that cannot be followed. */
const LOOK_MS = 1000;

let locals = 0;

interface Asking {
  body: Ask;
  question: Message | null;
  answer: Message;
  /** Called when the gateway has taken the question. */
  taken?: (question: string) => void;
}

class Conversation {
  thread = $state.raw<Thread | null>(null);
  head = $state<string | null>(null);
  loading = $state(false);
  problem = $state.raw<Problem | null>(null);
  /** The model that was chosen for this thread's next answer. */
  chosen = $state<string | null>(null);
  readonly messages = new SvelteMap<string, Message>();
  readonly path = $derived(path(this.messages, this.head));
  readonly model = $derived(this.chosen ?? this.thread?.model ?? gateway.preferred);
  readonly running = $derived([...this.messages.values()].filter(({ state }) => state === 'streaming'));
  readonly #live = new Map<string, Live>();
  readonly #asked = new Map<string, Asking>();

  constructor() {
    whenTabsTell((id) => {
      void threads.load().catch(() => undefined);
      if (id === this.thread?.id) void this.refresh();
    });
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
    try {
      const { thread, messages } = await api.messages(id);
      if (place.thread === id) this.#take(thread, messages);
    } catch (error) {
      if (place.thread === id) this.problem = problemOf(error);
    } finally {
      if (place.thread === id || place.thread === null) this.loading = false;
    }
  }

  #leave(): void {
    for (const live of this.#live.values()) live.leave();
    this.#live.clear();
    this.#asked.clear();
    this.messages.clear();
    this.thread = this.head = this.problem = this.chosen = null;
    this.loading = false;
  }

  #take(thread: Thread, messages: Message[]): void {
    this.thread = thread;
    for (const message of messages) if (!this.#live.has(message.id)) this.messages.set(message.id, message);
    if (this.#live.size === 0 || this.head === null) this.head = thread.head;
    for (const message of messages) if (message.state === 'streaming') this.#follow(message);
  }

  /** Sees what other tabs and other devices did to this thread. */
  async refresh(): Promise<void> {
    const id = this.thread?.id;
    if (!id) return;
    const found = await api.messages(id).catch(() => null);
    if (found && id === this.thread?.id) this.#take(found.thread, found.messages);
  }

  async ask(content: Content, options: { parent?: string | null; second?: string | null } = {}): Promise<void> {
    const thread = await this.#ensured(content);
    if (!thread) return;
    const parent = options.parent === undefined ? this.head : options.parent;
    const question: Message = { ...blank(`local-q${++locals}`, thread.id, parent), role: 'user', content, state: 'complete', phase: null };
    const body: Ask = { content, ...this.#choice(), ...(options.parent !== undefined || this.#localHead() ? { parent_id: this.#known(parent) } : {}) };
    const { second } = options;
    const taken = (id: string): void => void (second && this.#compare(id, second));
    await this.#start({ body, question, answer: blank(`local-a${++locals}`, thread.id, question.id), taken });
  }

  /** The server's name of the nearest message at or above `id` that the server knows. */
  #known(id: string | null): string | null {
    return path(this.messages, id).findLast((message) => !message.id.startsWith('local-'))?.id ?? null;
  }

  #localHead(): boolean {
    return this.head?.startsWith('local-') ?? false;
  }

  /** Another answer to a question that is there: regenerate, retry, or a second opinion. */
  async again(question: string, model: string | null = null): Promise<void> {
    const { thread } = this;
    if (!thread) return;
    const body: Ask = { answer_to: question, ...this.#choice(model) };
    await this.#start({ body, question: null, answer: blank(`local-a${++locals}`, thread.id, question) });
  }

  /** An answer that never reached the gateway is asked for again as it was; others get a sibling. */
  async retry(answer: Message): Promise<void> {
    const asking = this.#asked.get(answer.id);
    if (asking) await this.#start({ ...asking, answer: { ...asking.answer, state: 'streaming', phase: { state: 'asking' } } });
    else if (answer.parent_id) await this.again(answer.parent_id);
  }

  async continue(answer: Message): Promise<void> {
    const { thread } = this;
    if (!thread) return;
    const body: Ask = { continue: answer.id, ...this.#choice(answer.model) };
    await this.#start({ body, question: null, answer: blank(`local-a${++locals}`, thread.id, answer.parent_id) });
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
    await Promise.all([this.show(answer), this.comparing(null)]);
  }

  /** Makes the newest leaf of a message's branch the one that is shown. */
  async show(message: Message): Promise<void> {
    await this.#setHead(leaf(this.messages, message.id));
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
    if (this.thread && !this.#localHead()) this.#put(await api.change(this.thread.id, { head }));
  }

  stop(): void {
    for (const { id } of this.running) void this.#live.get(id)?.stop();
  }

  #choice(model: string | null = null): Pick<Ask, 'model' | 'mode'> {
    const name = model ?? this.model;
    const mode = gateway.mode(name);
    if (mode) return { ...parameters(), mode };
    return { ...parameters(), ...(name ? { model: name } : {}) };
  }

  /** The thread to ask in; a new chat becomes a thread with its first question. */
  async #ensured(content: Content): Promise<Thread | null> {
    if (this.thread) return this.thread;
    try {
      const thread = await api.create(gateway.mode(this.model) ? null : this.model);
      this.thread = thread;
      threads.put(thread);
      place.toThread(thread.id);
      return thread;
    } catch (error) {
      this.problem = { ...problemOf(error), param: JSON.stringify(content) };
      throw error;
    }
  }

  async #start(asking: Asking): Promise<void> {
    const { body, question, answer } = asking;
    this.#asked.set(answer.id, asking);
    if (question) this.messages.set(question.id, question);
    this.messages.set(answer.id, answer);
    this.head = answer.id;
    const thread = answer.thread_id;
    await this.#run(answer, asking, (signal, onCut) => asked(thread, body, signal, onCut));
  }

  #follow(answer: Message): void {
    const { request_id } = answer;
    if (!request_id || this.#live.has(answer.id)) return;
    void this.#run(answer, null, (signal, onCut) => followed(request_id, signal, onCut));
  }

  async #run(answer: Message, asking: Asking | null, open: Parameters<Live['run']>[0]): Promise<void> {
    const watcher: Watcher = {
      show: (next) => this.#show(next),
      other: (event, next) => this.#other(event, next, asking),
      gone: () => void this.#look(),
    };
    const live = new Live(answer, watcher, !settings.streamResponses);
    this.#live.set(answer.id, live);
    await live.run(open);
    for (const [id, one] of this.#live) if (one === live) this.#live.delete(id);
    if (this.thread?.id === answer.thread_id) tellTabs(answer.thread_id);
  }

  #show(answer: Message): void {
    this.messages.set(answer.id, answer);
    narrator.hear(answer);
  }

  #other(event: Event, answer: Message, asking: Asking | null): void {
    if (event.name === 'init' && asking) this.#named(asking, answer);
    if (event.name === 'title') this.#titled(event.data as { thread_id: string; title: string });
    if (event.name === 'init' || event.name === 'done') void threads.load().catch(() => undefined);
  }

  /** The gateway has taken the question: local names give way to its own. */
  #named({ question, answer: local, taken }: Asking, answer: Message): void {
    const live = this.#live.get(local.id);
    if (!live) return; // the reader has left meanwhile
    this.#live.delete(local.id);
    this.#live.set(answer.id, live);
    this.#asked.delete(local.id);
    this.messages.delete(local.id);
    if (question && answer.parent_id) {
      this.messages.delete(question.id);
      this.messages.set(answer.parent_id, { ...question, id: answer.parent_id });
    }
    if (this.head === local.id || this.head === null) this.head = answer.id;
    this.messages.set(answer.id, answer);
    tellTabs(answer.thread_id);
    if (answer.parent_id) taken?.(answer.parent_id);
  }

  #titled({ thread_id, title }: { thread_id: string; title: string }): void {
    threads.patch(thread_id, { title });
    if (this.thread?.id === thread_id) this.thread = { ...this.thread, title };
  }

  #put(thread: Thread): void {
    if (this.thread?.id === thread.id) this.thread = thread;
    threads.patch(thread.id, thread);
  }

  /** For a stream that cannot be followed: what the gateway keeps of the answer, until it has ended. */
  async #look(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    await this.refresh();
  }
}

export const conversation = new Conversation();
