/** Keys with their budgets, and what was used: the gateway shows an administrator everybody's, others their own. */
import { json } from './http.ts';

export interface Budget {
  account: string;
  window: string;
  limit: number;
  spent: number;
  left: number;
  resets_at: number | null;
}

export interface Key {
  name: string;
  admin: boolean;
  revoked_at: number | null;
  budgets: Budget[];
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

export const accounts = {
  keys: async () => (await json<{ data: Key[] }>('/api/keys')).data,
  usage: async (by: By) => (await json<{ data: Used[] }>(`/api/usage?by=${by}`)).data,
};
