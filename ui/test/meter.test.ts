import { expect, it } from 'vitest';
import { blank } from '../src/lib/answer.ts';
import { meter } from '../src/lib/meter.ts';
import type { Message } from '../src/lib/types.ts';

const answer = (members: Partial<Message>): Message => ({ ...blank('a', 't', null), state: 'complete', provider: 'p', model: 'm', ...members });
const usage = (input: number, output: number, cached = 0) => ({ prompt_tokens: input, completion_tokens: output, prompt_tokens_details: { cached_tokens: cached } });

it('counts what the next question brings along: the last answer with its question', () => {
  expect(meter([answer({ usage: usage(10, 5) }), answer({ usage: usage(30, 7, 20) })]).used).toBe(37);
});
it('adds what is known and counts what is not', () => {
  const found = meter([answer({ usage: usage(1, 1), cost: 0.5 }), answer({ usage: usage(1, 1), cost: null }), answer({ usage: usage(1, 1), cost: 0 })]);
  expect([found.cost, found.unpriced]).toEqual([0.5, 1]);
});
it('knows nothing before the first answer, and nothing of one that grows', () => {
  expect(meter([answer({ state: 'streaming', usage: null })])).toEqual({ used: null, cost: 0, unpriced: 0, turns: [] });
});
it('has the cached share of each turn', () => expect(meter([answer({ usage: usage(40, 1, 30) })]).turns[0]?.cached).toBe(30));
it('leaves out a question that never reached the gateway', () => {
  expect(meter([answer({ usage: usage(1, 1), cost: 0.5 }), answer({ state: 'failed', request_id: null, cost: null })])).toMatchObject({ cost: 0.5, unpriced: 0 });
  expect(meter([answer({ state: 'failed', request_id: 'r', cost: null })]).unpriced).toBe(1);
});
