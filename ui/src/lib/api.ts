/** The gateway's calls by name; streaming ones are in stream.ts. */
import { ask, json, sending } from './http.ts';
import type { Flight } from './flight.ts';
import type { Performance, Requests, Window } from './metrics.ts';
import type { Hit, Info, Message, Model, Page, Thread, ThreadSettings } from './types.ts';

const at = (id: string): string => `/threads/${encodeURIComponent(id)}`;

/** So many messages are fetched at first: more than fill any window. */
export const TAIL = 60;

/** Which part of a thread: the last `tail` messages of the branch that leads on from `at`, or those before `before`. */
interface Part {
  tail: number;
  before?: string;
  at?: string;
}

export type Change = Partial<Pick<Thread, 'title' | 'pinned' | 'model' | 'head' | 'deleted'>> & { settings?: ThreadSettings };

export const api = {
  alive: () => ask('/livez'),
  info: () => json<Info>('/api/info'),
  /** A pattern of names is no name that one could choose. */
  models: async () => (await json<{ data: Model[] }>('/v1/models')).data.filter(({ llmproxy }) => llmproxy?.kind !== 'pattern'),
  requests: () => json<Requests>('/v1/requests'),
  flight: (request: string) => json<Flight>(`/v1/requests/${encodeURIComponent(request)}/trace`),
  performance: (window: Window) => json<Performance>(`/api/metrics/performance?window=${window}`),
  stop: (request: string) => ask(`/v1/requests/${encodeURIComponent(request)}/cancel`, { method: 'POST' }),

  threads: (before?: string) =>
    json<{ threads: Thread[]; next: string | null }>(`/threads?limit=50${before ? `&before=${encodeURIComponent(before)}` : ''}`),
  search: async (words: string, signal: AbortSignal) =>
    (await json<{ results: Hit[] }>(`/threads/search?q=${encodeURIComponent(words)}`, { signal })).results,
  create: (model: string | null, settings: ThreadSettings) => json<Thread>('/threads', sending('POST', { ...(model ? { model } : {}), settings })),
  messages: (id: string, part: Part) => json<Page>(`${at(id)}/messages?${new URLSearchParams(Object.entries(part).map(([name, value]) => [name, String(value)]))}`),
  change: (id: string, change: Change) => json<Thread>(at(id), sending('PATCH', change)),
  remove: (id: string) => ask(at(id), { method: 'DELETE' }),
  /** For good, even if the page is being closed. */
  purge: (id: string) => ask(`${at(id)}?purge=1`, { method: 'DELETE', keepalive: true }),
  removeAll: () => ask('/threads', { method: 'DELETE' }),
  cancel: (request: string) =>
    json<{ status: string }>(`/threads/cancel/${encodeURIComponent(request)}`, { method: 'POST' }),
  exported: async (path: string) => (await ask(path)).blob(),
  whole: (id: string) => json<{ messages: Message[] }>(`${at(id)}/messages`),
  imported: (file: Blob) => json<{ threads: string[]; left_out: Record<string, number> }>('/threads/import', { method: 'POST', body: file }),
  trash: () => json<{ threads: Thread[]; next: string | null }>('/threads?deleted=1&limit=200'),
};
