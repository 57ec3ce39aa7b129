/** The keys and groups of the gateway, for an administrator. */
import { accounts, type Group, type Key, type Kind, type Used, type Wishes } from '../lib/accounts.ts';
import { keep } from '../lib/key.ts';
import type { Problem } from '../lib/types.ts';
import { gateway } from './gateway.svelte.ts';
import { problemOf } from './live.ts';

export class Keys {
  keys = $state.raw<Key[] | null>(null);
  groups = $state.raw<Group[]>([]);
  spent = $state.raw<Map<string, Used>>(new Map());
  problem = $state.raw<Problem | null>(null);

  async load(): Promise<void> {
    try {
      const [keys, groups, used] = await Promise.all([accounts.keys(), accounts.groups(), accounts.usage('key')]);
      this.spent = new Map(used.map((row) => [row.key ?? '', row]));
      this.groups = groups;
      this.keys = keys;
      this.problem = null;
    } catch (error) {
      this.problem = problemOf(error);
    }
  }

  /** Gives a new key's secret. Throws what the gateway says. */
  async create(kind: Kind, wishes: Wishes): Promise<string | undefined> {
    const { secret } = await accounts.create(kind, wishes);
    if (secret && !gateway.info?.needs_key) {
      keep(secret, false); // the first key locks the gateway, and this page is to stay in
      await gateway.load();
    }
    await this.load();
    return secret;
  }

  async change(kind: Kind, name: string, wishes: Wishes): Promise<void> {
    await accounts.change(kind, name, wishes);
    await this.load();
  }

  async rotate(name: string): Promise<string> {
    const { secret } = await accounts.rotate(name);
    await this.load();
    return secret;
  }

  async remove(kind: Kind, name: string): Promise<void> {
    await accounts.remove(kind, name);
    await this.load();
  }
}
