/** Where the reader is: a new chat, a thread, or the activity page; kept in the address's hash. */

export type Route = { page: 'chat'; thread: string | null } | { page: 'activity' };

export function parse(hash: string): Route {
  if (hash === '#/activity') return { page: 'activity' };
  const match = /^#\/t\/([\w-]+)$/.exec(hash);
  return { page: 'chat', thread: match?.[1] ?? null };
}

class Place {
  route = $state.raw(parse(location.hash));

  constructor() {
    addEventListener('hashchange', () => (this.route = parse(location.hash)));
  }

  get thread(): string | null {
    return this.route.page === 'chat' ? this.route.thread : null;
  }

  go(hash: string): void {
    if (location.hash !== hash) location.hash = hash;
    this.route = parse(hash);
  }

  toThread(id: string): void {
    this.go(`#/t/${id}`);
  }
}

export const place = new Place();
