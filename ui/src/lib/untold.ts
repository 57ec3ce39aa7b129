/** Settings of chats that the gateway does not know yet. They outlive the page: a browser need not send what is asked of it while it lets go of one. */
import type { ThreadSettings } from './types.ts';

const PREFIX = 'llmproxy.untold.';

export function keepUntold(thread: string, settings: ThreadSettings): void {
  if (Object.keys(settings).length) sessionStorage.setItem(PREFIX + thread, JSON.stringify(settings));
  else sessionStorage.removeItem(PREFIX + thread);
}

export function untold(thread: string): ThreadSettings {
  return JSON.parse(sessionStorage.getItem(PREFIX + thread) ?? '{}') as ThreadSettings;
}

/** The chats that have such settings. */
export function untoldThreads(): string[] {
  return Object.keys(sessionStorage).filter((name) => name.startsWith(PREFIX)).map((name) => name.slice(PREFIX.length));
}

/** What is still untold when the gateway has taken `told`: what was changed again meanwhile. */
export function without(settings: ThreadSettings, told: ThreadSettings): ThreadSettings {
  return Object.fromEntries(Object.entries(settings).filter(([name, value]) => JSON.stringify(told[name]) !== JSON.stringify(value)));
}
