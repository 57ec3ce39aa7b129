/** How many tabs keep a connection where none can lead, as the browser has no locks for pages by plain http. */

const PREFIX = 'llmproxy.line.';
/** So many connections of the six that a browser opens to a host are for answers. */
const MOST = 3;
/** Longer than two of the gateway's signs of life: who says nothing for so long is gone. */
const FRESH_MS = 45_000;

export interface Lines {
  /** Whether this tab may keep a connection; it counts as one that does until it is let go. */
  take(): boolean;
  free(): void;
}

export function lines(tab: string, store: Storage = localStorage): Lines {
  const mine = PREFIX + tab;
  const others = (): number => {
    const names = Array.from({ length: store.length }, (_, index) => store.key(index) ?? '');
    return names.filter((name) => name.startsWith(PREFIX) && name !== mine && Date.now() - Number(store.getItem(name)) < FRESH_MS).length;
  };
  return {
    take: () => {
      if (others() >= MOST) return false;
      store.setItem(mine, String(Date.now()));
      return true;
    },
    free: () => store.removeItem(mine),
  };
}
