/** Chats that are not kept: the gateway forgets one for good when its reader leaves it. */
import { api } from './api.ts';
import type { Thread } from './types.ts';

/** What a browser that died has left behind is let go of after so many seconds. */
const LEFT_S = 3600;

export const isTemporary = (thread: Thread | null): boolean => thread?.settings?.['temporary'] === true;

export function forget(thread: Thread | null): void {
  if (thread && isTemporary(thread)) void api.purge(thread.id).catch(() => undefined);
}

/** Those of a list that are kept. */
export function lasting(threads: Thread[]): Thread[] {
  const now = Date.now() / 1000;
  for (const one of threads) if (now - one.updated_at > LEFT_S) forget(one);
  return threads.filter((one) => !isTemporary(one));
}
