import { describe, expect, it } from 'vitest';
import { blank, applyEvent } from '../src/lib/answer.ts';
import { partsOf } from '../src/lib/parts.ts';
import { bytes, playable } from '../src/lib/sound.ts';
import type { Event } from '../src/lib/stream.ts';
import { event, message } from './event.ts';

const parts = (...events: Event[]): unknown => partsOf(events.reduce(applyEvent, blank('local', 't', 'q')));

describe('the parts of an answer', () => {
  it('keep the order in which they came', () => {
    const call = event('tool_call', { index: 0, id: 'c', name: 'look', arguments: '{' });
    const more = event('tool_call', { index: 0, arguments: '}' });
    expect(parts(event('token', { t: 'a' }), event('token', { t: 'b' }), event('reasoning', { t: 'hm' }), call, more, event('image', { url: 'data:x' }), event('token', { t: 'c' }))).toEqual([
      { type: 'text', text: 'ab' },
      { type: 'reasoning', text: 'hm' },
      { type: 'tool_call', index: 0 },
      { type: 'image', url: 'data:x' },
      { type: 'text', text: 'c' },
    ]);
  });

  it('of one that was kept without a list are reasoning, text and calls', () => {
    const calls = [{ index: 0, id: 'c', name: 'look', arguments: '{}' }];
    const kept = message('a', 'q', 'assistant', { content: 'so', reasoning: 'hm', tool_calls: calls, parts: [] });
    expect(partsOf(kept).map(({ type }) => type)).toEqual(['reasoning', 'text', 'tool_call']);
  });

  it('are all of its sound in one', () => {
    const piece = (text: string): Event => event('audio', { data: btoa(text), transcript: text });
    const [sound] = parts(piece('RI'), piece('FF')) as { data: string[]; transcript: string }[];
    expect(sound?.transcript).toBe('RIFF');
    expect(new TextDecoder().decode(bytes(sound?.data ?? []))).toBe('RIFF');
  });
});

describe('sound', () => {
  it('is played as the file it is', () => {
    expect(playable(btoa('RIFF....WAVE')).type).toBe('audio/wav');
    expect(playable(btoa('ID3')).type).toBe('audio/mpeg');
  });

  it('without a head gets one', async () => {
    const file = playable([btoa('ab'), btoa('cd')]);
    expect(file.size).toBe(48);
    expect((await file.text()).slice(0, 4)).toBe('RIFF');
  });
});
