/** A thread's tree of messages, with an index of its branches: which path is shown, and what there is beside it. */
import type { Message } from './types.ts';

export class Tree {
  readonly #messages = new Map<string, Message>();
  readonly #children = new Map<string | null, string[]>();

  get size(): number {
    return this.#messages.size;
  }

  get(id: string | null): Message | undefined {
    return id === null ? undefined : this.#messages.get(id);
  }

  values(): IterableIterator<Message> {
    return this.#messages.values();
  }

  /** Whether the tree is another one now: a message is new, or stands elsewhere. */
  set(message: Message): boolean {
    const known = this.#messages.get(message.id);
    this.#messages.set(message.id, message);
    if (known?.parent_id === message.parent_id && known.created_at === message.created_at) return false;
    if (known) this.#unlink(known);
    this.#link(message);
    return true;
  }

  delete(id: string): void {
    const known = this.#messages.get(id);
    if (known) this.#unlink(known);
    this.#messages.delete(id);
  }

  #link({ id, parent_id, created_at }: Message): void {
    const row = this.#children.get(parent_id) ?? [];
    const later = row.findIndex((other) => (this.#messages.get(other)?.created_at ?? 0) > created_at);
    this.#children.set(parent_id, later < 0 ? [...row, id] : row.toSpliced(later, 0, id));
  }

  #unlink({ id, parent_id }: Message): void {
    this.#children.set(parent_id, (this.#children.get(parent_id) ?? []).filter((other) => other !== id));
  }

  /** Oldest first. */
  children(parent: string | null): string[] {
    return this.#children.get(parent) ?? [];
  }

  /** From the root to `head`. A missing parent ends the walk: better a part of the thread than none. */
  path(head: string | null): string[] {
    const found: string[] = [];
    for (let at = this.get(head); at; at = this.get(at.parent_id)) found.push(at.id);
    return found.reverse();
  }

  /** The message and what stands in its place on other branches, oldest first. */
  siblings({ parent_id, role }: Message): string[] {
    return this.children(parent_id).filter((id) => this.get(id)?.role === role);
  }

  /** The newest leaf below a message: what is shown when one switches to its branch. */
  leaf(id: string): string {
    let at = id;
    for (let next = this.children(at).at(-1); next !== undefined; next = this.children(at).at(-1)) at = next;
    return at;
  }

  /** What stands `step` places beside a message; null at the ends. */
  beside(message: Message, step: 1 | -1): string | null {
    const row = this.siblings(message);
    return row[row.indexOf(message.id) + step] ?? null;
  }

  /** Whether `below` is `id`, or comes after it on its branch. */
  leadsTo(id: string, below: string | null): boolean {
    for (let at = this.get(below); at; at = this.get(at.parent_id)) if (at.id === id) return true;
    return false;
  }
}
