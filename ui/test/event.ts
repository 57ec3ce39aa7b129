/** Events and messages for tests. */
import { blank } from '../src/lib/answer.ts';
import type { Event } from '../src/lib/stream.ts';
import type { Message } from '../src/lib/types.ts';

let made = 0;

export const event = (name: string, data: unknown, id = 0): Event => ({ id, name, data });

export function message(id: string, parent: string | null, role: Message['role'], more: Partial<Message> = {}): Message {
  return { ...blank(id, 'thread', parent), role, state: 'complete', created_at: ++made, ...more };
}
