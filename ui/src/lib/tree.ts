/** A thread's tree of messages: which path is shown, which branches there are beside it. */
import type { Message } from './types.ts';

export type Messages = ReadonlyMap<string, Message>;

const older = (a: Message, b: Message): number => a.created_at - b.created_at;

/** From the root to `head`. A missing parent ends the walk: better a part of the thread than none. */
export function path(messages: Messages, head: string | null): Message[] {
  const found: Message[] = [];
  for (let at = head ? messages.get(head) : undefined; at; at = at.parent_id ? messages.get(at.parent_id) : undefined) {
    found.push(at);
  }
  return found.reverse();
}

export function children(messages: Messages, parent: string | null): Message[] {
  return [...messages.values()].filter((message) => message.parent_id === parent).sort(older);
}

/** The message and what stands in its place on other branches, oldest first. */
export function siblings(messages: Messages, message: Message): Message[] {
  return children(messages, message.parent_id).filter(({ role }) => role === message.role);
}

/** The newest leaf below a message: what is shown when one switches to its branch. */
export function leaf(messages: Messages, id: string): string {
  const newest = children(messages, id).at(-1);
  return newest ? leaf(messages, newest.id) : id;
}

/** The branch `step` places beside a message, as the leaf to show; null at the ends. */
export function beside(messages: Messages, message: Message, step: 1 | -1): string | null {
  const row = siblings(messages, message);
  const next = row[row.findIndex(({ id }) => id === message.id) + step];
  return next ? leaf(messages, next.id) : null;
}
