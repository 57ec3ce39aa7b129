/** Tags of chats: words that stand in a chat's settings. Pure. */
import type { Thread } from './types.ts';

const MOST = 10;
const LONGEST = 30;

export function tagsOf({ settings }: Pick<Thread, 'settings'>): string[] {
  const found = settings?.['tags'];
  return Array.isArray(found) ? found.filter((one): one is string => typeof one === 'string') : [];
}

export function parsed(text: string): string[] {
  const words = text.split(/[,，、]/).map((word) => word.trim().replace(/^#+/, '').slice(0, LONGEST)).filter(Boolean);
  return [...new Set(words)].slice(0, MOST);
}

/** Of all chats, in their alphabet's order. */
export function known(threads: Thread[]): string[] {
  return [...new Set(threads.flatMap(tagsOf))].sort((one, other) => one.localeCompare(other));
}
