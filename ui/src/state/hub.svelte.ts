/** All conversations of this page: the one that is shown, and those whose answers go on while another is. */
import { forget, isTemporary } from '../lib/temporary.ts';
import type { Message, Thread } from '../lib/types.ts';
import { Conversation, type Around } from './conversation.svelte.ts';
import { notifyDone } from './notify.ts';
import { narrator } from './narrator.svelte.ts';
import { place } from './route.svelte.ts';
import { whenTabsTell } from './tabs.ts';
import { threads } from './threads.svelte.ts';

class Hub implements Around {
  shown = $state.raw(new Conversation(null, this));
  /** Left, but still being answered, or with settings that the gateway does not know yet. */
  readonly #busy = new Map<string, Conversation>();

  #whenIdle: (conversation: Conversation) => void = () => undefined;
  #whenBegun: (thread: string) => void = () => undefined;

  constructor() {
    whenTabsTell((id) => {
      void threads.load().catch(() => undefined);
      if (id === this.shown.id) void this.shown.refresh();
    });
    addEventListener('pagehide', () => {
      forget(this.shown.thread);
      void this.shown.own.change().catch(() => undefined);
    });
  }

  /** Shows a thread, at one of its messages if that is given; null is a new chat. */
  open(id: string | null, at: string | null = null): void {
    if (id !== null && id === this.shown.id && !this.shown.problem) return;
    this.#leave();
    const kept = id === null ? undefined : this.#busy.get(id);
    this.shown = kept ?? new Conversation(id, this);
    if (id !== null) this.#busy.delete(id);
    if (kept) void kept.refresh();
    else void this.shown.load(at);
  }

  #leave(): void {
    const { shown } = this;
    if (isTemporary(shown.thread)) {
      shown.answers.leave();
      forget(shown.thread);
      return;
    }
    if (shown.own.untold) void shown.own.change().finally(() => this.#done(shown));
    if (shown.id && (shown.answers.busy || shown.own.untold)) this.#busy.set(shown.id, shown);
    else shown.answers.leave();
  }

  #done(one: Conversation): void {
    if (one !== this.shown && one.id && !one.answers.busy) this.#busy.delete(one.id);
  }

  /** Lets go of everything, as when the key is forgotten. */
  close(): void {
    for (const one of [this.shown, ...this.#busy.values()]) one.answers.leave();
    this.#busy.clear();
    this.shown = new Conversation(null, this);
  }

  /** Stops what is being written in a thread, as far as this page knows of it. */
  stop(thread: string): void {
    (thread === this.shown.id ? this.shown : this.#busy.get(thread))?.stop();
  }

  /** What to do when the shown chat has become a thread. */
  whenBegun(action: (thread: string) => void): void {
    this.#whenBegun = action;
  }

  /** A reader who has left meanwhile stays where they are. */
  begun(thread: Thread, from: Conversation): void {
    if (from === this.shown) {
      this.#whenBegun(thread.id);
      place.toThread(thread.id);
    } else if (isTemporary(thread)) forget(thread);
    else this.#busy.set(thread.id, from);
  }

  spoke(answer: Message, from: Conversation): void {
    if (from === this.shown) narrator.hear(answer);
  }

  /** What to do whenever no answer of a conversation is being written any more. */
  whenIdle(action: (conversation: Conversation) => void): void {
    this.#whenIdle = action;
  }

  idle(from: Conversation): void {
    notifyDone(from, from === this.shown);
    this.#whenIdle(from);
    if (from.answers.busy) return;
    if (from === this.shown) void from.refresh();
    else if (!from.own.untold) this.#done(from);
  }
}

export const hub = new Hub();
