import { describe, expect, it } from 'vitest';
import { rows, type Attempt, type Flight } from '../src/lib/flight.ts';
import { ofChat, ofRequest, snippet } from '../src/lib/snippets.ts';

const attempt = (members: Partial<Attempt>): Attempt => ({
  number: 1, why: 'first', provider: 'p', model: 'm', state: 'answered', code: null, status: 200, start_ms: 0, sent_ms: null, headers_ms: null,
  first_frame_ms: null, end_ms: 1000, reused: null, bytes: { out: null, in: null }, gaps: null, ...members,
});
const flight = (members: Partial<Flight>): Flight => ({
  id: 'one', dialect: 'chat', model: 'p/m', stream: true, state: 'completed', code: null, now_ms: 1000, end_ms: 1000, bytes: { in: 1, out: 2 },
  waits: [], attempts: [], attempts_left_out: 0, stop: null, content: null, ...members,
});

describe('a flight record as rows', () => {
  it('has parts that follow each other up to the end', () => {
    const [row] = rows(flight({ attempts: [attempt({ sent_ms: 100, headers_ms: 300, first_frame_ms: 500 })] }));
    expect(row?.parts).toEqual([
      { kind: 'connecting', from: 0, width: 10 }, { kind: 'sent', from: 10, width: 20 }, { kind: 'first', from: 30, width: 20 }, { kind: 'answer', from: 50, width: 50 },
    ]);
  });
  it('leaves out what was not reached', () => {
    const [row] = rows(flight({ attempts: [attempt({ state: 'failed', status: 429, sent_ms: 200, end_ms: 400 })] }));
    expect(row?.parts.map(({ kind }) => kind)).toEqual(['connecting', 'sent']);
    expect(row?.note).toBe('400 ms · 429');
    expect(row?.failed).toBe(true);
  });
  it('is in the order of the beginnings, waits among attempts', () => {
    const found = rows(flight({ waits: [{ kind: 'backoff', start_ms: 100, end_ms: 300, code: '429' }], attempts: [attempt({ end_ms: 100 }), attempt({ number: 2, why: 'retry', start_ms: 300 })] }));
    expect(found.map(({ key }) => key)).toEqual(['attempt 1', 'wait 0', 'attempt 2']);
  });
  it('goes up to now while it runs', () => {
    const [row] = rows(flight({ end_ms: null, now_ms: 2000, attempts: [attempt({ end_ms: null, state: 'open', first_frame_ms: 1000 })] }));
    expect(row?.parts.at(-1)).toEqual({ kind: 'answer', from: 50, width: 50 });
  });
});

describe('a request as a program', () => {
  const asked = ofChat({ model: 'p/m', messages: [{ role: 'user', content: "It's $HOME" }], settings: { system: 'Be brief', temperature: 0.5 } });
  it('has the chat and its settings', () => {
    expect(asked.body).toEqual({ model: 'p/m', messages: [{ role: 'system', content: 'Be brief' }, { role: 'user', content: "It's $HOME" }], stream: true, temperature: 0.5 });
  });
  it('is safe in a shell', () => expect(snippet('curl', 'http://h', asked)).toContain(`"It'\\''s $HOME"`));
  it('names the key and shows none', () => {
    for (const language of ['curl', 'python', 'node'] as const) expect(snippet(language, 'http://h', asked)).toContain('LLMPROXY_KEY');
  });
  it('is Python where it is Python, but for words within strings', () => {
    const text = snippet('python', 'http://h', { path: '/v1/x', body: { a: true, b: null, c: 'true "null"' } });
    expect(text).toContain('"a": True');
    expect(text).toContain('"b": None');
    expect(text).toContain('"c": "true \\"null\\""');
  });
  it('takes the words that were kept only where they are whole', () => {
    expect(ofRequest('m', 'messages', true, '{"model":"m","max_tokens":5}')).toEqual({ path: '/v1/messages', body: { model: 'm', max_tokens: 5 } });
    expect(ofRequest('m', 'messages', false, '{"model":"m","max_').body['messages']).toHaveLength(1);
  });
});
