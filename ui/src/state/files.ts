/** Threads out of the gateway as files, and back in. */
import { api } from '../lib/api.ts';
import { fileName, save } from '../lib/save.ts';
import type { Thread } from '../lib/types.ts';
import { strings } from '../strings.ts';
import { problemOf } from './live.ts';
import { notices } from './notices.svelte.ts';
import { threads } from './threads.svelte.ts';

const ENDINGS = { markdown: 'md', json: 'json' };

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

/** As a page of its own that needs nothing else, made here: what is shown is what is exported. */
export function exportHtml(thread: Thread): Promise<void> {
  return spoken(import('../lib/export-html.ts').then(async ({ asHtml }) => {
    const { messages } = await api.whole(thread.id);
    save(new Blob([asHtml(thread, messages)], { type: 'text/html' }), `${fileName(thread.title ?? '')}.html`);
  }));
}

/** Takes in an export of this gateway, or of another program that it knows, and says what was left out of it. */
export function importThreads(file: Blob): Promise<void> {
  return spoken(import('../lib/imports.ts').then(async ({ chatFiles, summed }) => {
    const words = strings.settings;
    const files = await chatFiles(file);
    if (files.length === 0) throw new Error(words.unknownExport);
    const done: Awaited<ReturnType<typeof api.imported>>[] = [];
    for (const one of files) done.push(await api.imported(one).catch((error: unknown) => { throw known(error); }));
    await threads.load();
    const left = Object.entries(summed(done.map((one) => one.left_out)));
    notices.say(words.imported(done.flatMap((one) => one.threads).length) + (left.length ? ` ${words.leftOut(left.map(counted).join(', '))}` : ''));
  }));
}

function counted([kind, count]: [string, number]): string {
  const named: Record<string, string> = strings.settings.kinds;
  return `${named[kind] ?? kind} (${count})`;
}

function known(error: unknown): unknown {
  return ['unknown_export', 'invalid_json'].includes(problemOf(error).code ?? '') ? new Error(strings.settings.unknownExport) : error;
}
