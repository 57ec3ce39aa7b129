/** How much of a model's context a chat fills, and what its answers have cost. What is not known is counted, never 0. Pure. */
import type { Message } from './types.ts';
import { modelOf } from './truth.ts';

export interface Turn {
  id: string;
  model: string;
  input: number | null;
  cached: number;
  output: number | null;
  cost: number | null;
}

export interface Meter {
  /** Tokens that the next question brings along. */
  used: number | null;
  cost: number;
  /** Answers whose price is not known. */
  unpriced: number;
  turns: Turn[];
}

/** The question never reached the gateway, which has spent nothing. */
const unasked = ({ state, request_id }: Message): boolean => state === 'failed' && request_id === null;

/** Of a branch, from its beginning. */
export function meter(branch: Message[]): Meter {
  const answers = branch.filter((one) => one.role === 'assistant' && one.state !== 'streaming' && !unasked(one));
  const turns = answers.map((one): Turn => ({
    id: one.id,
    model: modelOf(one),
    input: one.usage?.prompt_tokens ?? null,
    cached: one.usage?.prompt_tokens_details?.cached_tokens ?? 0,
    output: one.usage?.completion_tokens ?? null,
    cost: one.cost,
  }));
  const counted = turns.findLast(({ input, output }) => input !== null && output !== null);
  return {
    used: counted ? (counted.input ?? 0) + (counted.output ?? 0) : null,
    cost: turns.reduce((sum, { cost }) => sum + (cost ?? 0), 0),
    unpriced: turns.filter(({ cost, output }) => cost === null && output !== 0).length,
    turns,
  };
}
