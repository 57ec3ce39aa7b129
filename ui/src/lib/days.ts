/** Threads by the day of their last word, pinned ones first. */
import type { Thread } from './types.ts';

export interface Group {
  name: 'pinned' | 'today' | 'yesterday' | 'week' | 'month' | 'older';
  threads: Thread[];
}

const DAY_S = 86_400;

function midnight(now: Date): number {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime() / 1000;
}

function nameOf(thread: Thread, today: number): Group['name'] {
  if (thread.pinned) return 'pinned';
  if (thread.updated_at >= today) return 'today';
  if (thread.updated_at >= today - DAY_S) return 'yesterday';
  if (thread.updated_at >= today - 7 * DAY_S) return 'week';
  return thread.updated_at >= today - 30 * DAY_S ? 'month' : 'older';
}

const ORDER: Group['name'][] = ['pinned', 'today', 'yesterday', 'week', 'month', 'older'];

export function byDay(threads: Thread[], now: Date): Group[] {
  const today = midnight(now);
  const sorted = [...threads].sort((a, b) => b.updated_at - a.updated_at);
  const group = (name: Group['name']): Group => ({ name, threads: sorted.filter((thread) => nameOf(thread, today) === name) });
  return ORDER.map(group).filter(({ threads: found }) => found.length > 0);
}
