/** The facts about an answer, in the order in which they are read; what is not known is not said. */
import { strings } from '../strings.ts';
import { count, duration, money } from './format.ts';
import type { Message } from './types.ts';

export interface Fact {
  name: string;
  text: string;
  title?: string;
}

const words = strings.truth;

/** What came within so short a time came at once: its speed is the network's. */
const BURST_MS = 100;

/** Tokens a second as the gateway said it, else from what it said of tokens and times. */
export function speed(message: Message): number | null {
  const { usage, duration_ms, ttft_ms } = message;
  const ms = duration_ms != null && ttft_ms != null ? duration_ms - ttft_ms : 0;
  if (ms < BURST_MS) return null;
  if (message.tokens_per_second != null) return message.tokens_per_second;
  const tokens = usage?.completion_tokens;
  return tokens ? (tokens / ms) * 1000 : null;
}

/** `provider/model`, as one would ask for it again. */
export function modelOf({ provider, model: name }: { provider: string | null; model: string | null }): string {
  if (!provider || name?.startsWith(`${provider}/`)) return name ?? '';
  return `${provider}/${name ?? '?'}`;
}

function tokens(label: string, all: number | null | undefined, part: number | null | undefined, partLabel: string): string {
  if (all == null) return '';
  return `${count(all)} ${label}${part ? ` (${count(part)} ${partLabel})` : ''}`;
}

export function truths(message: Message): Fact[] {
  const { usage, ttft_ms, attempts, cost, route } = message;
  // A failed answer says by itself what its last attempt came to.
  const failures = message.state === 'failed' ? message.failures.slice(0, -1) : message.failures;
  const rate = speed(message);
  const facts: Fact[] = [
    { name: 'model', text: modelOf(message) },
    { name: 'first', text: ttft_ms == null ? '' : `${words.first} ${duration(ttft_ms)}` },
    { name: 'speed', text: rate == null ? '' : `${rate < 10 ? rate.toFixed(1) : count(rate)} ${words.speed}` },
    { name: 'in', text: tokens(words.tokensIn, usage?.prompt_tokens, usage?.prompt_tokens_details?.cached_tokens, words.cached) },
    { name: 'out', text: tokens(words.tokensOut, usage?.completion_tokens, usage?.completion_tokens_details?.reasoning_tokens, words.reasoning) },
    { name: 'cost', text: cost == null ? '' : money(cost) },
    { name: 'attempts', text: attempts && attempts > 1 ? words.attempts(attempts) : '' },
    { name: 'failures', text: failures.length ? words.failover([...new Set(failures)].join(', ')) : '' },
    { name: 'route', text: route && route !== modelOf(message) ? `${words.via} ${route}` : '' },
  ];
  return facts.filter(({ text }) => text !== '');
}
