/** One thread: which of its branches is shown, and everything one can ask of it. */
import { blank } from '../lib/answer.ts';
import { api, TAIL } from '../lib/api.ts';
import { Unreachable } from '../lib/http.ts';
import type { Event } from '../lib/stream.ts';
import type { Ask, Content, Message, Page, Problem, Thread } from '../lib/types.ts';
import { Answers, type Owner } from './answers.svelte.ts';
import { gateway } from './gateway.svelte.ts';
import { problemOf } from './live.ts';
import { painting } from './painter.svelte.ts';
import { parametersOf, sent, settings, type Parameters } from './settings.svelte.ts';
import { tellTabs } from './tabs.ts';
import { ThreadState } from './thread.svelte.ts';
import { threads } from './threads.svelte.ts';

/** How often a thread is looked at again while an answer runs that cannot be followed. */
const LOOK_MS = 1000;

let locals = 0;
const localId = (): string => `local-${++locals}`;
export const isLocal = (id: string | null): boolean => id?.startsWith('local-') ?? false;

/** The reader has stopped a question before it was asked. */
class Withdrawn extends Error {}

export interface Around {
  /** A new chat has become a thread. */
  begun(thread: Thread, from: Conversation): void;
  /** What an answer says by now. */
  spoke(answer: Message, from: Conversation): void;
  /** No answer is being written any more. */
  idle(from: Conversation): void;
}

export class Conversation implements Owner {
  id = $state<string | null>(null);
  readonly own = new ThreadState();
  readonly thread = $derived(this.own.value);
  head = $state<string | null>(null);
  loading = $state(false);
  problem = $state.raw<Problem | null>(null);
  /** The model that was chosen for a chat that is no thread yet. */
  chosen = $state<string | null>(null);
  /** Whether this chat, which is no thread yet, will be forgotten when it is left. */
  temporary = $state(false);
  /** How often something was asked here: whoever asks wants to see the answer. */
  asked = $state(0);
  readonly answers = new Answers(this);
  readonly messages = this.answers.messages;
  /** The shown branch, as ids: it stays the same while messages grow. */
  readonly path = $derived(this.messages.tree.path(this.head));
  /** Whether the branch has messages before the ones that are here. */
  readonly more = $derived((this.messages.tree.get(this.path[0] ?? null)?.parent_id ?? null) !== null);
  readonly model = $derived(this.chosen ?? this.#threadsModel ?? gateway.preferred);
  #loading: Promise<void> | null = null;
  #creating: Promise<Thread> | null = null;
  #withdraw: () => void = () => undefined;
  #filling = false;

  constructor(id: string | null, readonly around: Around) {
    this.id = id;
  }

  get #threadsModel(): string | null {
    const mode = this.thread?.settings?.mode;
    return mode ? `mode:${mode}` : (this.thread?.model ?? null);
  }

  get running(): boolean {
    return this.messages.running.length > 0;
  }

  stop(): void {
    this.#withdraw();
    this.answers.stop();
  }

  /** What the next answer of this chat is asked with; a new chat's is what new chats begin with. */
  get parameters(): Parameters {
    return parametersOf(this.thread?.settings ?? (this.id ? {} : settings));
  }

  /** Takes a change at once, and tells the gateway when no further one comes. */
  setParameters(change: Partial<Parameters>): void {
    if (this.thread) this.own.set(change);
    else Object.assign(settings, change);
  }

  async choose(model: string): Promise<void> {
    settings.model = model;
    this.chosen = model;
    const mode = gateway.mode(model);
    if (!this.thread) return;
    await (mode ? this.own.change({}, { mode }) : this.own.change({ model }, { mode: null }));
  }

  /** Fetches the thread's last messages, or those around `at`; the older ones follow when there is time. */
  load(at: string | null = null): Promise<void> {
    this.#loading ??= this.#load(at).finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #load(at: string | null): Promise<void> {
    const { id } = this;
    if (id === null) return;
    this.loading = this.thread === null;
    const painted = painting.load();
    try {
      const page = await api.messages(id, at ? { tail: TAIL, at } : { tail: TAIL });
      await painted; // a message has its true height at once
      this.#take(page, at);
      this.problem = null;
    } catch (error) {
      this.problem = problemOf(error);
    } finally {
      this.loading = false;
    }
  }

  #take({ thread, messages, head }: Page, at: string | null = null): void {
    // What the gateway does not have is not left for what it has: a question that could not be sent stays in sight.
    const switched = thread.head !== this.thread?.head && !this.answers.busy && !isLocal(this.head);
    this.own.put(thread);
    this.answers.take(messages);
    if (at !== null) this.head = head;
    else if (this.head === null || switched || this.messages.tree.leadsTo(this.head, thread.head)) this.head = thread.head;
  }

  /** Sees what other tabs and other devices did to this thread. */
  async refresh(): Promise<void> {
    const { id } = this;
    const found = id && this.thread ? await api.messages(id, { tail: TAIL }).catch(() => null) : null;
    if (found) this.#take(found);
  }

  /** Fetches what stands before the messages that are here, piece by piece. */
  async fill(): Promise<void> {
    if (this.#filling) return;
    this.#filling = true;
    try {
      while (this.more && this.id) {
        const first = this.path[0];
        if (!first) return;
        this.answers.take((await api.messages(this.id, { tail: 4 * TAIL, before: first })).messages);
        if (this.path[0] === first) return;
      }
    } catch {
      // what is here stays; the next look at the thread tries again
    } finally {
      this.#filling = false;
    }
  }

  async ask(content: Content, options: { parent?: string | null; others?: string[]; taken?: () => void } = {}): Promise<void> {
    if (this.id !== null && !this.thread) await this.load();
    const parent = options.parent === undefined ? this.head : options.parent;
    const question: Message = { ...blank(localId(), this.id ?? '', parent), role: 'user', content, state: 'complete', phase: null };
    const others = options.others ?? [];
    const taken = (id: string): void => {
      options.taken?.();
      if (others.length) void this.#compare(id, others).catch(() => undefined);
    };
    await this.#ask({ content, ...this.#choice(), parent_id: this.#known(parent) }, question, question.id, taken);
  }

  /** The nearest message at or above `id` that the gateway knows. */
  #known(id: string | null): string | null {
    return this.messages.tree.path(id).findLast((one) => !isLocal(one)) ?? null;
  }

  async #ask(body: Ask, question: Message | null, parent: string | null, taken: (id: string) => void = () => undefined): Promise<void> {
    const before = this.head;
    const answer = blank(localId(), this.id ?? '', parent);
    const shown = question ? [question, answer] : [answer];
    this.messages.setAll(shown);
    this.head = answer.id;
    this.asked += 1;
    try {
      const { id } = await this.#ensured();
      await this.answers.ask({ body, question: question && { ...question, thread_id: id }, answer: { ...answer, thread_id: id }, taken });
    } catch (error) {
      this.head = before;
      for (const one of shown) this.messages.delete(one.id);
      throw error;
    }
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

  /** Asks further models the same, and shows all answers beside each other. */
  async #compare(question: string, models: string[]): Promise<void> {
    await Promise.all([this.own.change({}, { compare: question }), ...models.map((model) => this.again(question, model))]);
  }

  async keep(answer: Message): Promise<void> {
    this.head = this.messages.tree.leaf(answer.id);
    await Promise.all([this.#tellHead(), this.own.change({}, { compare: null })]);
  }

  /** The leaf to show for a message's branch. While messages are missing, only the gateway knows how it goes on. */
  async leafOf(id: string): Promise<string> {
    const whole = this.messages.tree.size >= (this.thread?.messages ?? 0);
    if (whole || !this.id || isLocal(id)) return this.messages.tree.leaf(id);
    const page = await api.messages(this.id, { tail: TAIL, at: id });
    this.answers.take(page.messages);
    return page.head ?? id;
  }

  /** Shows the branch of a message that is not on the shown one, for this reader only. */
  reveal(id: string): void {
    if (!this.path.includes(id)) this.head = this.messages.tree.leaf(id);
  }

  /** The branch beside a message's own, as the leaf to show. */
  async beside(message: Message, step: 1 | -1): Promise<string | null> {
    const next = this.messages.tree.beside(message, step);
    return next === null ? null : this.leafOf(next);
  }

  /** Shows another branch, here and from now on. */
  show(head: string): void {
    this.head = head;
    void this.#tellHead().catch(() => undefined); // it is shown here all the same
  }

  versions(message: Message): { at: number; all: number } {
    const row = this.messages.tree.siblings(message);
    return { at: row.indexOf(message.id) + 1, all: row.length };
  }

  async #tellHead(): Promise<void> {
    const { head, thread } = this;
    if (!thread || head === null || isLocal(head)) return;
    await this.own.change({ head });
    tellTabs(thread.id);
  }

  #choice(model: string | null = null): Partial<Ask> {
    const name = model ?? this.model;
    const mode = gateway.mode(name);
    const own = sent(this.parameters);
    if (mode) return { ...own, mode };
    return { ...own, ...(name ? { model: name } : {}) };
  }

  /** The thread to ask in; a new chat becomes a thread with its first question. */
  async #ensured(): Promise<Thread> {
    if (this.thread) return this.thread;
    if (this.id !== null && this.problem?.code !== 'not_found') throw new Error(this.problem?.message); // it could not be opened
    this.#creating ??= this.#create().finally(() => (this.#creating = null));
    return this.#creating;
  }

  async #create(): Promise<Thread> {
    const { chosen } = this;
    const mode = gateway.mode(this.model);
    const own = { ...sent(this.parameters), ...(mode ? { mode } : {}), ...(this.temporary ? { temporary: true } : {}) };
    try {
      const thread = await this.#unlessWithdrawn(api.create(mode ? null : this.model, own));
      this.own.put(thread);
      this.id = thread.id;
      this.problem = null;
      threads.put(thread);
      if (this.chosen && this.chosen !== chosen) void this.choose(this.chosen).catch(() => undefined); // it is shown here all the same
      this.around.begun(thread, this);
      return thread;
    } catch (error) {
      if (!(error instanceof Withdrawn)) this.problem = problemOf(error);
      throw error;
    }
  }

  /** A thread that comes after its question was withdrawn is nobody's. */
  async #unlessWithdrawn(made: Promise<Thread>): Promise<Thread> {
    const withdrawn = new Promise<never>((_, reject) => {
      this.#withdraw = () => {
        void made.then(({ id }) => api.purge(id)).catch(() => undefined);
        reject(new Withdrawn());
      };
    });
    try {
      return await Promise.race([made, withdrawn]);
    } finally {
      this.#withdraw = () => undefined;
    }
  }

  renamed(local: string, answer: Message): void {
    if (this.head === local || this.head === null) this.head = answer.id;
  }

  spoke(answer: Message): void {
    this.around.spoke(answer, this);
  }

  idle(): void {
    this.around.idle(this);
  }

  heard({ name, data }: Event): void {
    if (name === 'title') this.#titled(data as { thread_id: string; title: string });
    if (name === 'init' || name === 'done') void threads.load().catch(() => undefined);
  }

  #titled({ thread_id, title }: { thread_id: string; title: string }): void {
    threads.patch(thread_id, { title });
    if (this.thread?.id === thread_id) this.own.titled(title);
  }

  async #look(): Promise<void> {
    if (!this.id) return;
    try {
      this.#take(await api.messages(this.id, { tail: TAIL }));
    } catch (error) {
      if (error instanceof Unreachable) this.lost();
      else this.answers.fail(problemOf(error));
    }
  }

  /** What the gateway keeps of the thread, after a while: for a stream that cannot be followed. */
  lost(): void {
    setTimeout(() => void this.#look(), LOOK_MS);
  }
}
