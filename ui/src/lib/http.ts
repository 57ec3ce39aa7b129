/** One way to ask the gateway: the key goes along, a refusal becomes a `Refused` with the gateway's own words. */
import { key } from './key.ts';
import type { Problem } from './types.ts';

export class Refused extends Error {
  constructor(readonly status: number, readonly problem: Problem) {
    super(problem.message);
  }
}

/** The gateway could not be reached at all. */
export class Unreachable extends Error {}

/** Where the page stands: nothing, or a path that a proxy in front has put it under. */
export const root = typeof location === 'undefined' ? '' : location.pathname.replace(/\/[^/]*$/, '');

let onLocked: () => void = () => undefined;
let onReach: (reached: boolean) => void = () => undefined;

/** What to do when the gateway says that a key is missing or wrong. */
export function whenLocked(action: () => void): void {
  onLocked = action;
}

/** What to do whenever the gateway has answered, or could not be reached. */
export function whenReached(action: (reached: boolean) => void): void {
  onReach = action;
}

async function refusal(response: Response): Promise<Refused> {
  const fallback = { message: `The gateway answered ${response.status}.`, code: null };
  const body = (await response.json().catch(() => null)) as { error?: Problem } | null;
  return new Refused(response.status, body?.error ?? fallback);
}

function headersFor(init: RequestInit, secret: string | null): Headers {
  const headers = new Headers(init.headers);
  if (secret) headers.set('X-Api-Key', secret); // Authorization may be a proxy's in front, with its own password
  if (typeof init.body === 'string') headers.set('Content-Type', 'application/json');
  return headers;
}

/** What was asked with a key that has been forgotten since is nobody's to see. */
function checkKey(secret: string | null): void {
  if (secret && secret !== key()) throw new Unreachable('The key was forgotten.');
}

/** `path` begins with a slash, and is looked for beside the page. */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const secret = key();
  const response = await fetch(root + path, { ...init, headers: headersFor(init, secret) }).catch((error: unknown) => {
    if (init.signal?.aborted) throw error;
    onReach(false);
    throw new Unreachable(String(error));
  });
  onReach(true);
  checkKey(secret);
  if (response.status === 401) onLocked();
  if (!response.ok) throw await refusal(response);
  return response;
}

export async function json<T>(path: string, init: RequestInit = {}): Promise<T> {
  const secret = key();
  const value = (await (await ask(path, init)).json()) as T;
  checkKey(secret);
  return value;
}

/** A larger body is refused where a request is to outlive its page. */
const OUTLIVES = 60_000;

/** A change arrives even if the page is closed or loaded again meanwhile. */
export function sending(method: 'POST' | 'PATCH', value: unknown): RequestInit {
  const body = JSON.stringify(value);
  return { method, body, keepalive: method === 'PATCH' && body.length < OUTLIVES };
}
