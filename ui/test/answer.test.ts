import { describe, expect, it } from 'vitest';
import { blank, covers, emptied, applyEvent } from '../src/lib/answer.ts';
import type { Event } from '../src/lib/stream.ts';
import type { Message } from '../src/lib/types.ts';
import { event } from './event.ts';

const folded = (events: Event[], from = blank('local', 't', 'q')): Message => events.reduce(applyEvent, from);

const INIT = event('init', { request_id: 'r', model: 'm', thread_id: 't', question_id: 'q1', message_id: 'a1' });

describe('an answer', () => {
  it('takes its names from the first event', () => {
    expect(folded([INIT])).toMatchObject({ id: 'a1', parent_id: 'q1', request_id: 'r', model: 'm', state: 'streaming' });
  });

  it('keeps its local name outside threads', () => {
    expect(folded([event('init', { request_id: 'r', model: 'm', question_id: null, message_id: null })]).id).toBe('local');
  });

  it('grows by tokens, and its reasoning apart from them', () => {
    const answer = folded([event('reasoning', { t: 'Hm.' }), event('token', { t: 'Hel' }), event('token', { t: 'lo' })]);
    expect(answer).toMatchObject({ content: 'Hello', reasoning: 'Hm.' });
  });

  it('says what it waits for', () => {
    expect(folded([event('status', { state: 'queued', position: 2 })]).phase).toEqual({ state: 'queued', position: 2 });
  });

  it('joins the pieces of each tool call', () => {
    const answer = folded([
      event('tool_call', { index: 1, id: 'b', name: 'second', arguments: '{}' }),
      event('tool_call', { index: 0, id: 'a', name: 'first', arguments: '{"x"' }),
      event('tool_call', { index: 0, arguments: ':1}' }),
    ]);
    expect(answer.tool_calls).toEqual([
      { index: 0, id: 'a', name: 'first', arguments: '{"x":1}' },
      { index: 1, id: 'b', name: 'second', arguments: '{}' },
    ]);
  });

  it('has each citation once', () => {
    const source = { index: 1, url: 'https://a.example', title: 'A' };
    expect(folded([event('citation', source), event('citation', source)]).citations).toEqual([source]);
  });

  it('ends complete with the facts about it', () => {
    const answer = folded([INIT, event('token', { t: 'x' }), event('done', { ok: true, response: 'x', provider: 'p', model_used: 'm2', ttft_ms: 3 })]);
    expect(answer).toMatchObject({ state: 'complete', content: 'x', provider: 'p', model: 'm2', ttft_ms: 3, phase: null });
  });

  it('ends stopped, with what came and how fast the provider was left', () => {
    const answer = folded([event('token', { t: 'ha' }), event('done', { ok: false, stopped: true, response: 'ha', closed_ms: 1.4 })]);
    expect(answer).toMatchObject({ state: 'stopped', content: 'ha', closed_ms: 1.4 });
  });

  it('ends failed, and keeps what came', () => {
    const error = { message: 'no', code: 'upstream_error' };
    expect(folded([event('token', { t: 'ha' }), event('done', { ok: false, error })])).toMatchObject({ state: 'failed', content: 'ha', error });
  });

  it('is not changed by events that are not known yet', () => {
    const before = folded([INIT]);
    expect(applyEvent(before, event('applause', { loud: true }))).toBe(before);
  });
});

describe('a replay from the start', () => {
  it('gives the same answer as the unbroken stream', () => {
    const events = [INIT, event('token', { t: 'a' }), event('token', { t: 'b' }), event('done', { ok: true, response: 'ab' })];
    const kept = { ...folded(events.slice(0, 3)), content: 'a' };
    expect(folded(events, emptied(kept))).toEqual({ ...folded(events), created_at: kept.created_at });
  });

  it('is shown only once it covers what was shown', () => {
    const shown = { ...blank('a', 't', 'q'), content: 'abc' };
    expect(covers({ ...shown, content: 'ab' }, shown)).toBe(false);
    expect(covers({ ...shown, content: 'abcd' }, shown)).toBe(true);
    expect(covers({ ...shown, content: '', state: 'failed' }, shown)).toBe(true);
  });
});
