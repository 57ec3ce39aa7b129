/**
 * The events of requests, on one connection for all tabs of a browser: whichever tab holds the lock leads, and tells the others.
 * A tab that hears nothing of its leader helps itself; where there are no locks, each does.
 */
import { Feed, type Heard, type Listener } from './feed.ts';
import { Refused } from './http.ts';
import { lines, type Lines } from './lines.ts';
import type { Event } from './stream.ts';

/** Longer than two of the gateway's signs of life. */
const SILENCE_MS = 40_000;
const ALIVE_MS = 5000;

type Word =
  | { kind: 'leads' }
  | { kind: 'alive' }
  | { kind: 'want'; tab: string; request: string; last: number }
  | { kind: 'drop'; tab: string; request: string }
  | { kind: 'heard'; heard: Heard };

/** One who follows a request in this tab. */
class Follower {
  last = 0;
  /** The last event after which it has asked for more. */
  asked = 0;
  readonly #heard: Heard[] = [];
  #wake: () => void = () => undefined;

  hear(heard: Heard): void {
    this.#heard.push(heard);
    this.#wake();
  }

  async next(signal: AbortSignal): Promise<Heard> {
    while (this.#heard.length === 0) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    signal.throwIfAborted();
    return this.#heard.shift() as Heard;
  }
}

export class Wire implements Listener {
  readonly #tab = Math.random().toString(36).slice(2);
  readonly #followers = new Map<string, Set<Follower>>();
  /** Which other tabs want a request of the one that leads. */
  readonly #others = new Map<string, Set<string>>();
  readonly #lines: Lines = lines(this.#tab);
  #name = '';
  #channel: BroadcastChannel | null = null;
  #feed: Feed | null = null;
  #leads = false;
  #end: () => void = () => undefined;
  #saidAlive = 0;
  #heardAt = 0;

  /** `name`: who shares a connection; those with another key must not. */
  constructor(readonly name: () => string, readonly locks: LockManager | undefined = navigator.locks) {}

  /** All events of a request, each once and in order. Raises Refused where the gateway does not have them. */
  async *follow(request: string, signal: AbortSignal, onCut: () => void): AsyncGenerator<Event> {
    const follower = new Follower();
    this.#add(request, follower);
    try {
      for (;;) {
        const heard = await follower.next(signal);
        if ('cut' in heard) onCut();
        else if ('refused' in heard) throw new Refused(heard.refused.status, heard.refused.problem);
        else if (this.#isNext(heard.event, request, follower)) {
          yield heard.event;
          if (heard.event.name === 'done') return;
        }
      }
    } finally {
      this.#remove(request, follower);
    }
  }

  /** What was told to others already is not told again; what is missing is asked for. */
  #isNext({ id }: Event, request: string, follower: Follower): boolean {
    const next = id === follower.last + 1;
    if (next) follower.last = id;
    else if (id > follower.last && follower.asked !== follower.last) this.#want(request, follower);
    return next;
  }

  #add(request: string, follower: Follower): void {
    if (this.#name !== this.name()) this.#join();
    if (this.#followers.size === 0) this.#heardAt = Date.now();
    this.#followers.set(request, (this.#followers.get(request) ?? new Set()).add(follower));
    this.#want(request, follower);
  }

  #remove(request: string, follower: Follower): void {
    const here = this.#followers.get(request);
    here?.delete(follower);
    if (here?.size) return;
    this.#followers.delete(request);
    if (this.#followers.size === 0) this.#lines.free();
    this.#say({ kind: 'drop', tab: this.#tab, request });
    if (!this.#others.get(request)?.size) this.#feed?.drop(request);
  }

  #want(request: string, follower: Follower): void {
    follower.asked = follower.last;
    if (this.#feed) this.#feed.want(request, follower.last);
    else this.#say({ kind: 'want', tab: this.#tab, request, last: follower.last });
  }

  #wantAll(): void {
    for (const [request, here] of this.#followers) for (const follower of here) this.#want(request, follower);
  }

  /** Begins anew, with those who have the same key. */
  #join(): void {
    this.#leave();
    this.#name = this.name();
    if (!this.locks) {
      this.#feed = new Feed(this);
      return;
    }
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.addEventListener('message', ({ data }: MessageEvent<Word>) => this.#told(data));
    const ended = new AbortController();
    this.#end = () => ended.abort();
    void this.locks.request(this.#name, { signal: ended.signal }, () => this.#lead()).catch(() => undefined);
    const timer = setInterval(() => this.#helpMyself(), ALIVE_MS);
    ended.signal.addEventListener('abort', () => clearInterval(timer));
  }

  #leave(): void {
    this.#end();
    this.#channel?.close();
    this.#feed?.close();
    this.#channel = this.#feed = null;
    this.#leads = false;
    this.#others.clear();
  }

  /** Holds the lock until this tab is gone. */
  #lead(): Promise<void> {
    this.#feed?.close();
    this.#feed = new Feed(this);
    this.#leads = true;
    this.#say({ kind: 'leads' });
    this.#wantAll();
    const end = this.#end;
    return new Promise((resolve) => (this.#end = () => (resolve(), end())));
  }

  /** A leader may be held up for long: a browser stops the pages that nobody sees. */
  #helpMyself(): void {
    if (this.#feed || this.#followers.size === 0 || Date.now() - this.#heardAt < SILENCE_MS) return;
    this.#feed = new Feed(this);
    this.#wantAll();
  }

  #say(word: Word): void {
    this.#channel?.postMessage(word);
  }

  #told(word: Word): void {
    if (word.kind === 'want' || word.kind === 'drop') {
      if (this.#leads) this.#serve(word);
      return;
    }
    this.#heardAt = Date.now();
    if (this.#feed && !this.#leads) {
      this.#feed.close();
      this.#feed = null;
      this.#wantAll();
    } else if (word.kind === 'leads') {
      this.#wantAll();
    }
    if (word.kind === 'heard') this.#tell(word.heard);
  }

  #serve(word: Extract<Word, { tab: string }>): void {
    const { kind, tab, request } = word;
    const tabs = this.#others.get(request) ?? new Set();
    if (kind === 'want') {
      this.#others.set(request, tabs.add(tab));
      this.#feed?.want(request, word.last);
    } else {
      tabs.delete(tab);
      if (tabs.size === 0) this.#others.delete(request);
      if (tabs.size === 0 && !this.#followers.has(request)) this.#feed?.drop(request);
    }
  }

  hear(heard: Heard): void {
    const shared = 'cut' in heard ? this.#others.size > 0 : this.#others.has(heard.request);
    if (this.#leads && shared) this.#say({ kind: 'heard', heard });
    if ('refused' in heard || ('event' in heard && heard.event.name === 'done')) this.#others.delete(heard.request);
    this.#tell(heard);
  }

  #tell(heard: Heard): void {
    const here = 'cut' in heard ? [...this.#followers.values()].flatMap((all) => [...all]) : (this.#followers.get(heard.request) ?? []);
    for (const follower of here) follower.hear(heard);
  }

  alive(): void {
    if (!this.locks) this.#lines.take();
    if (!this.#leads || Date.now() - this.#saidAlive < ALIVE_MS) return;
    this.#saidAlive = Date.now();
    this.#say({ kind: 'alive' });
  }

  live(): boolean {
    return this.locks !== undefined || this.#lines.take();
  }
}
