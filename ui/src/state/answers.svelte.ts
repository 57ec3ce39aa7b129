/** The messages of one thread, and the streams of those that are being written. */
import type { Event } from '../lib/stream.ts';
import type { Ask, Message, Phase, Problem } from '../lib/types.ts';
import { Live, type Watcher } from './live.ts';
import { Messages } from './messages.svelte.ts';
import { settings } from './settings.svelte.ts';
import { tellTabs } from './tabs.ts';
import { wire } from './wire.ts';

export interface Asking {
  body: Ask;
  /** What is shown until the gateway has given the question its own name; null where the question is there already. */
  question: Message | null;
  answer: Message;
  /** Called when the gateway has taken the question. */
  taken?: (question: string) => void;
}

export interface Owner {
  /** An answer got the gateway's name in place of a local one. */
  renamed(local: string, answer: Message): void;
  /** What an answer says by now. */
  spoke(answer: Message): void;
  /** An event that is about more than its answer. */
  heard(event: Event): void;
  /** A stream can no longer be followed; the thread must be looked at. */
  lost(): void;
  /** No stream is open any more. */
  idle(): void;
}

export class Answers {
  readonly messages = new Messages();
  readonly #live = new Map<string, Live>();
  readonly #asked = new Map<string, Asking>();

  constructor(readonly owner: Owner) {}

  get busy(): boolean {
    return this.#live.size > 0;
  }

  /** What was asked for an answer that never reached the gateway. */
  unasked(answer: string): Asking | undefined {
    return this.#asked.get(answer);
  }

  /** Stops reading; the answers go on at the gateway. */
  leave(): void {
    for (const live of this.#live.values()) live.leave();
    this.#live.clear();
  }

  /** Takes the messages as the gateway keeps them, and follows those that are growing. */
  take(messages: Message[]): void {
    for (const message of messages) {
      if (this.#live.has(message.id)) continue;
      this.messages.set({ ...message, phase: this.#phase(message) });
      if (message.state === 'streaming') this.#follow(message);
    }
  }

  /** What was said of a stream that cannot be followed holds until the answer has ended. */
  #phase({ id, state }: Message): Phase | null {
    return state === 'streaming' ? (this.messages.get(id)?.phase ?? null) : null;
  }

  async ask(asking: Asking): Promise<void> {
    const { body, question, answer } = asking;
    this.#asked.set(answer.id, asking);
    if (question) this.messages.set(question);
    this.messages.set(answer);
    await this.#run(answer, asking, (signal, onCut) => wire.asked(answer.thread_id, body, signal, onCut));
  }

  stop(): void {
    for (const id of this.messages.running) void this.#live.get(id)?.stop();
  }

  /** Answers that can neither be followed nor looked up stay as they are, marked. */
  fail(error: Problem): void {
    for (const id of this.messages.running) {
      const answer = this.messages.get(id);
      if (answer && !this.#live.has(id)) this.messages.set({ ...answer, state: 'failed', error, phase: null });
    }
  }

  #follow(answer: Message): void {
    const { request_id } = answer;
    if (request_id) void this.#run(answer, null, (signal, onCut) => wire.followed(request_id, signal, onCut));
  }

  async #run(answer: Message, asking: Asking | null, open: Parameters<Live['run']>[0]): Promise<void> {
    const watcher: Watcher = {
      show: (next) => this.#show(next),
      other: (event, next) => {
        if (event.name === 'init' && asking) this.#rename(asking, next);
        this.owner.heard(event);
      },
      gone: (last) => {
        this.#show(last);
        this.owner.lost();
      },
    };
    const live = new Live(answer, watcher, !settings.streamResponses);
    this.#live.set(answer.id, live);
    await live.run(open);
    for (const [id, one] of this.#live) if (one === live) this.#live.delete(id);
    tellTabs(answer.thread_id);
    if (!this.busy) this.owner.idle();
  }

  #show(answer: Message): void {
    this.messages.set(answer);
    this.owner.spoke(answer);
  }

  /** The gateway has taken the question: local names give way to its own. */
  #rename({ question, answer: local, taken }: Asking, answer: Message): void {
    const live = this.#live.get(local.id);
    if (!live) return; // the reader has left meanwhile
    this.#live.delete(local.id);
    this.#live.set(answer.id, live);
    this.#asked.delete(local.id);
    this.messages.delete(local.id);
    if (question && answer.parent_id) {
      this.messages.delete(question.id);
      this.messages.set({ ...question, id: answer.parent_id });
    }
    this.messages.set(answer);
    this.owner.renamed(local.id, answer);
    tellTabs(answer.thread_id);
    if (answer.parent_id) taken?.(answer.parent_id);
  }
}
