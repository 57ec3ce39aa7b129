/** Attachments of unsent questions, kept in the browser's database: too large for its other storage, and gone after a week. */
import type { Attachment } from './attachments.ts';

const STORE = 'attachments';
const KEPT_MS = 7 * 24 * 3600 * 1000;

interface Kept {
  attachments: Attachment[];
  at: number;
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(new Error(request.error?.message)));
  });
}

let opened: Promise<IDBDatabase> | undefined;

function database(): Promise<IDBDatabase> {
  const request = indexedDB.open('llmproxy', 1);
  request.addEventListener('upgradeneeded', () => request.result.createObjectStore(STORE));
  return done(request);
}

async function store(mode: IDBTransactionMode): Promise<IDBObjectStore> {
  opened ??= database();
  return (await opened).transaction(STORE, mode).objectStore(STORE);
}

/** Raises where the browser keeps nothing. */
export async function keep(draft: string, attachments: Attachment[]): Promise<void> {
  const kept = await store('readwrite');
  if (attachments.length) await done(kept.put({ attachments, at: Date.now() } satisfies Kept, draft));
  else await done(kept.delete(draft));
}

export async function kept(draft: string): Promise<Attachment[]> {
  const found = (await done((await store('readonly')).get(draft))) as Kept | undefined;
  return found?.attachments ?? [];
}

/** Forgets drafts that nobody came back for. */
export async function tidy(): Promise<void> {
  const all = await store('readwrite');
  for (const draft of await done(all.getAllKeys())) {
    const found = (await done(all.get(draft))) as Kept;
    if (found.at < Date.now() - KEPT_MS) all.delete(draft);
  }
}
