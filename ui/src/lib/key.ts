/** The gateway's key: kept for this visit or for good, as its owner chose. */
import { dropEdits } from './edits.ts';

const NAME = 'llmproxy.key';

export function key(): string | null {
  return sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME);
}

export function keep(secret: string, forGood: boolean): void {
  forget();
  (forGood ? localStorage : sessionStorage).setItem(NAME, secret);
}

export function forget(): void {
  sessionStorage.removeItem(NAME);
  localStorage.removeItem(NAME);
  dropEdits();
}
