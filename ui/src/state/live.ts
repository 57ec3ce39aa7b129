/** One answer while it is being written: events in, at most one picture a frame out. */
import { covers, emptied, applyEvent } from '../lib/answer.ts';
import { api } from '../lib/api.ts';
import { Refused, Unreachable } from '../lib/http.ts';
import type { Event } from '../lib/stream.ts';
import type { Message, Problem } from '../lib/types.ts';
import { strings } from '../strings.ts';

/** How long a stopped stream may take to say how it ended, before it is hung up on. */
const LAST_WORDS_MS = 1500;
const HIDDEN_MS = 500;
/** Words that come more often than this look no smoother, and leave no time for anything else. */
const PACE_MS = 30;
/** A frame that came late is followed by a rest of so many times its length: a slow machine gets its words in larger pieces. */
const LATE_MS = 20;
const REST = 2;

type Open = (signal: AbortSignal, onCut: () => void) => AsyncGenerator<Event>;

export interface Watcher {
  show(answer: Message): void;
  /** Events that are about more than the answer. */
  other(event: Event, answer: Message): void;
  /** The gateway no longer has this stream; what it kept of the answer must be asked for. */
  gone(answer: Message): void;
}

export function problemOf(error: unknown): Problem {
  if (error instanceof Refused) return error.problem;
  if (error instanceof Unreachable) return { message: strings.problems.unreachable, code: 'unreachable' };
  return { message: error instanceof Error ? error.message : strings.problems.unknown };
}

export class Live {
  #answer: Message;
  #shown: Message;
  #frame = 0;
  #next = 0;
  #stopping = false;
  #left = false;
  readonly #controller = new AbortController();

  constructor(answer: Message, readonly watcher: Watcher, readonly whole: boolean) {
    this.#shown = answer;
    this.#answer = answer.state === 'streaming' && answer.request_id ? emptied(answer) : answer;
  }

  async run(open: Open): Promise<void> {
    try {
      for await (const event of open(this.#controller.signal, () => this.#cut())) this.#take(event);
    } catch (error) {
      this.#failed(error);
    }
    this.#flush();
  }

  /** Asks the gateway to stop, waits a moment for its last words, and hangs up. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const { request_id } = this.#answer;
    if (!request_id) {
      setTimeout(() => this.#giveUp(), LAST_WORDS_MS); // a name that comes until then lets the stop follow
      return;
    }
    const confirmed = await api.cancel(request_id).then(() => true, () => false);
    setTimeout(() => this.#controller.abort(), confirmed ? LAST_WORDS_MS : 0);
  }

  #giveUp(): void {
    if (!this.#answer.request_id) this.#controller.abort();
  }

  /** Stops watching; the answer itself goes on at the gateway. */
  leave(): void {
    this.#left = true;
    this.#controller.abort();
  }

  #take(event: Event): void {
    const before = this.#answer;
    this.#answer = applyEvent(before, event);
    this.watcher.other(event, this.#answer);
    if (event.name === 'init') this.#flush();
    if (event.name === 'init' && this.#stopping) void this.stop();
    if (!this.#frame) this.#schedule();
  }

  #schedule(): void {
    // A hidden page has no frames, but its answer should be there when one comes back.
    this.#frame = document.hidden ? window.setTimeout(() => this.#flush(), HIDDEN_MS) : requestAnimationFrame((now) => this.#paint(now));
  }

  #paint(now: number): void {
    if (now < this.#next) return this.#schedule();
    this.#flush();
    this.#next = now + PACE_MS;
    // What a picture costs is known when the frame after it comes.
    requestAnimationFrame((after) => {
      if (after - now > LATE_MS) this.#next = now + REST * (after - now);
    });
  }

  #flush(): void {
    this.#frame = 0;
    if (this.#left || !covers(this.#answer, this.#shown)) return;
    this.#shown = this.#answer;
    this.watcher.show(this.whole ? this.#veiled() : this.#answer);
  }

  /** For those who want to see answers only when they are complete. */
  #veiled(): Message {
    return this.#answer.state === 'streaming' ? { ...this.#answer, content: '', reasoning: null, parts: [] } : this.#answer;
  }

  #cut(): void {
    this.#answer = { ...this.#answer, phase: { state: 'resuming' } };
    this.#flush();
  }

  #failed(error: unknown): void {
    if (this.#controller.signal.aborted) {
      if (this.#stopping) this.#answer = { ...this.#answer, state: 'stopped', unconfirmed: true, phase: null };
    } else if (this.#answer.request_id && error instanceof Refused && error.status !== 401) {
      this.watcher.gone({ ...this.#shown, phase: { state: 'stored' } });
    } else {
      this.#answer = { ...this.#answer, state: 'failed', error: problemOf(error), phase: null };
    }
  }
}
