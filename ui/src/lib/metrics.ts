/** The shapes of the gateway's own numbers: requests in flight, and performance over a window. */
import type { Usage } from './types.ts';

export interface Running {
  id: string;
  state: 'running' | 'completed' | 'cancelled' | 'failed';
  phase: string | null;
  by: string | null;
  model: string | null;
  provider: string | null;
  provider_model: string | null;
  attempts: number;
  age_s: number;
  tokens: number | null;
  ttft_ms: number | null;
  duration_ms: number | null;
  status: number | null;
  code: string | null;
  usage: Usage | null;
  cost: number | null;
  started_at: number;
  /** Of a request that never had a task: why. */
  refused?: unknown;
}

export interface Requests {
  data: Running[];
  recent: Running[];
}

type Maybe = number | null;

export interface Numbers {
  requests: number;
  errors: number;
  error_rate: Maybe;
  cancelled: number;
  ttft_p50_ms: Maybe;
  ttft_p95_ms: Maybe;
  latency_p50_ms: Maybe;
  latency_p95_ms: Maybe;
  cancel_p50_ms: Maybe;
  cancel_p95_ms: Maybe;
  tokens_per_second: Maybe;
  tokens_in: Maybe;
  tokens_out: Maybe;
  cost: Maybe;
}

export type SeriesName = 'requests' | 'errors' | 'cancelled' | 'ttft_p50_ms' | 'ttft_p95_ms' | 'latency_p50_ms'
  | 'latency_p95_ms' | 'tokens_per_second' | 'tokens_in' | 'tokens_out';

export type Window = 'hour' | 'day' | 'week';

export interface Performance {
  window: Window;
  total: Numbers;
  models: (Numbers & { provider: string | null; model: string | null })[];
  series: { t: number[] } & Record<SeriesName, Maybe[]>;
}
