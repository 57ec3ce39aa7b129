/** Threads out of the gateway as files, and back in. */
import { api } from '../lib/api.ts';
import type { Thread } from '../lib/types.ts';
import { strings } from '../strings.ts';
import { problemOf } from './live.ts';
import { notices } from './notices.svelte.ts';
import { threads } from './threads.svelte.ts';

const ENDINGS = { markdown: 'md', json: 'json' };

function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const fileName = (title: string): string => title.replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '').slice(0, 60) || 'chat';

async function spoken(work: Promise<void>): Promise<void> {
  await work.catch((error: unknown) => notices.say(problemOf(error).message));
}

export function exportThread(thread: Thread, format: 'markdown' | 'json'): Promise<void> {
  const path = `/threads/${encodeURIComponent(thread.id)}/export?format=${format}`;
  return spoken(api.exported(path).then((blob) => save(blob, `${fileName(thread.title ?? '')}.${ENDINGS[format]}`)));
}

export function exportAll(): Promise<void> {
  return spoken(api.exported('/threads/export').then((blob) => save(blob, 'llmproxy-chats.json')));
}

export function importThreads(file: Blob): Promise<void> {
  return spoken(api.imported(file).then(async (ids) => {
    await threads.load();
    notices.say(strings.settings.imported(ids.length));
  }));
}
