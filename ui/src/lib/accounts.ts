/** Keys and groups with their limits and budgets, and what was used: an administrator sees and changes everybody's, others see their own. */
import { ask, json, sending } from './http.ts';

export interface Budget {
  account: string;
  window: string;
  limit: number;
  spent: number;
  left: number;
  resets_at: number | null;
}

/** What a key and a group have in common. kind: in the gateway's configuration, or made while it runs. */
export interface Account {
  name: string;
  kind: 'config' | 'store';
  rpm: number | null;
  tpm: number | null;
  max_parallel: number | null;
  budget: string[];
  budgets: Budget[];
}

export interface Key extends Account {
  object: 'key';
  admin: boolean;
  models: string[];
  group: string | null;
  expires_at: number | null;
  revoked_at: number | null;
}

export interface Group extends Account {
  object: 'group';
  keys: number;
}

export type Kind = 'keys' | 'groups';

/** What is asked of a key or a group; null takes a limit away. */
export interface Wishes {
  name?: string;
  models?: string[];
  group?: string;
  admin?: boolean;
  expires?: string | null;
  budget: string | null;
  rpm: number | null;
  tpm: number | null;
  max_parallel: number | null;
}

export type By = 'key' | 'model' | 'day';

export interface Used {
  key?: string | null;
  model?: string | null;
  day?: string | null;
  requests: number;
  unpriced: number;
  cost: number | null;
}

const at = (kind: Kind, name: string): string => `/api/${kind}/${encodeURIComponent(name)}`;

export const accounts = {
  keys: async () => (await json<{ data: Key[] }>('/api/keys')).data,
  groups: async () => (await json<{ data: Group[] }>('/api/groups')).data,
  usage: async (by: By) => (await json<{ data: Used[] }>(`/api/usage?by=${by}`)).data,
  /** A new key's secret is told this once; a group has none. */
  create: (kind: Kind, wishes: Wishes) => json<{ name: string; secret?: string }>(`/api/${kind}`, sending('POST', wishes)),
  change: (kind: Kind, name: string, wishes: Wishes) => ask(at(kind, name), sending('PATCH', wishes)),
  rotate: (name: string) => json<{ secret: string }>(`${at('keys', name)}/rotate`, sending('POST', {})),
  /** Revokes a key, deletes a group. */
  remove: (kind: Kind, name: string) => ask(at(kind, name), { method: 'DELETE' }),
};
