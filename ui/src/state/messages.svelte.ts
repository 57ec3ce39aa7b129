/** The messages of one thread, a signal for each: a word that comes to one touches no other, and the tree only where it changes. */
import { untrack } from 'svelte';
import { Tree } from '../lib/tree.ts';
import type { Message } from '../lib/types.ts';

class Cell {
  message = $state.raw() as Message;

  constructor(message: Message) {
    this.message = message;
  }
}

export class Messages {
  readonly #tree = new Tree();
  readonly #cells = new Map<string, Cell>();
  #shape = $state(0);
  /** Those that are being written. */
  running = $state.raw<string[]>([]);

  /** The tree, for its branches: what a message says is asked of `get`. */
  get tree(): Tree {
    void this.#shape;
    return this.#tree;
  }

  get(id: string | null): Message | undefined {
    const cell = id === null ? undefined : this.#cells.get(id);
    if (!cell) void this.#shape;
    return cell?.message;
  }

  has(id: string): boolean {
    return this.tree.get(id) !== undefined;
  }

  set(message: Message): void {
    const changed = this.#tree.set(message);
    const cell = this.#cells.get(message.id);
    if (cell) cell.message = message;
    else this.#cells.set(message.id, new Cell(message));
    this.#count(message.id, message.state === 'streaming');
    if (changed) this.#reshape();
  }

  /** Many at once, with one look at them. */
  setAll(messages: Message[]): void {
    for (const message of messages) this.set(message);
  }

  delete(id: string): void {
    this.#tree.delete(id);
    this.#cells.delete(id);
    this.#count(id, false);
    this.#reshape();
  }

  #reshape(): void {
    this.#shape = untrack(() => this.#shape) + 1;
  }

  #count(id: string, runs: boolean): void {
    const running = untrack(() => this.running);
    if (running.includes(id) !== runs) this.running = runs ? [...running, id] : running.filter((other) => other !== id);
  }
}
