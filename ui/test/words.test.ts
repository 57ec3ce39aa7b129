import { describe, expect, it } from 'vitest';
import { asFile, attached, fileAsText, joined, withoutFiles, words } from '../src/lib/content.ts';
import { byDay } from '../src/lib/days.ts';
import { duration, money, perMillion } from '../src/lib/format.ts';
import { sentences } from '../src/lib/sentences.ts';
import { commandOf, keysOf } from '../src/lib/shortcuts.ts';
import { composes } from '../src/lib/typing.ts';
import { speed, truths } from '../src/lib/truth.ts';
import type { Thread } from '../src/lib/types.ts';
import { lines } from '../src/markdown/lines.ts';
import { message } from './event.ts';

describe('sentences', () => {
  it('are spoken when they are whole', () => {
    expect(sentences('One. Two is not', 0, false)).toEqual({ spoken: 'One.', next: 5 });
    expect(sentences('One. Two is not', 5, true)).toEqual({ spoken: 'Two is not', next: 15 });
  });

  it('leave out code and markup', () => {
    expect(sentences('**Look** at [this](https://a.example):\n\n```js\nx. y. \n```\n\nDone. ', 0, false).spoken).toBe('Look at this: Code block. Done.');
  });

  it('wait for an open code block', () => {
    expect(sentences('First. \n\n```js\nlet a. b', 0, false).spoken).toBe('First.');
  });
});

describe('content', () => {
  const file = fileAsText({ name: 'a.txt', text: 'inside' });

  it('knows words from attachments', () => {
    const content = joined('Hello', [file, { type: 'image_url', image_url: { url: 'data:image/png;base64,' } }]);
    expect(words(content)).toBe('Hello');
    expect(attached(content)).toHaveLength(2);
    expect(asFile(file)).toEqual({ name: 'a.txt', text: 'inside' });
  });

  it('is a plain string where nothing is attached', () => {
    expect(joined('Hello', [])).toBe('Hello');
  });

  it('keeps files out of titles', () => {
    expect(withoutFiles('Read <file name="a.txt"> inside')).toBe('Read');
    expect(withoutFiles('<file name="a.txt"> inside')).toBe('a.txt');
  });
});

describe('threads', () => {
  const thread = (id: string, updated_at: number, pinned = false): Thread => ({
    id, title: id, created_at: 0, updated_at, pinned, deleted: false, model: null, settings: null, head: null, messages: 0, running: [],
  });

  it('are grouped by the day of their last word', () => {
    const now = new Date(2026, 5, 15, 12);
    const ago = (days: number): number => now.getTime() / 1000 - days * 86_400;
    const groups = byDay([thread('old', ago(90)), thread('now', ago(0)), thread('yesterday', ago(1)), thread('pinned', ago(50), true)], now);
    expect(groups.map(({ name }) => name)).toEqual(['pinned', 'today', 'yesterday', 'older']);
  });
});

describe('the truth line', () => {
  it('says who answered after whom, and nothing that is not known', () => {
    const answer = message('a', 'q', 'assistant', {
      provider: 'b', model: 'm', attempts: 2, failures: ['upstream_timeout'], cost: null,
    });
    expect(truths(answer).map(({ text }) => text)).toEqual(['b/m', '2 attempts', 'after upstream_timeout']);
  });

  it('counts tokens a second from the first one on', () => {
    expect(speed(message('a', 'q', 'assistant', { usage: { completion_tokens: 100 }, ttft_ms: 1000, duration_ms: 3000 }))).toBe(50);
    expect(speed(message('a', 'q', 'assistant', { usage: null, ttft_ms: 1, duration_ms: 3 }))).toBeNull();
  });

  it('counts none where all came at once', () => {
    const burst = { usage: { completion_tokens: 400 }, ttft_ms: 2000, duration_ms: 2004 };
    expect(speed(message('a', 'q', 'assistant', burst))).toBeNull();
    expect(speed(message('a', 'q', 'assistant', { ...burst, tokens_per_second: 100_000 }))).toBeNull();
  });
});

describe('numbers', () => {
  it('have as many digits as tell something', () => {
    expect([1.44, 312.2, 2150, 65_000].map(duration)).toEqual(['1.4 ms', '312 ms', '2.1 s', '1 min 5 s']);
    expect([0, 0.000123, 0.25, 3].map(money)).toEqual(['$0', '$0.00012', '$0.250', '$3.00']);
    expect([0, 1.25e-6].map(perMillion)).toEqual(['free', '$1.25']);
  });
});

describe('keys', () => {
  const press = (key: string, more: Partial<KeyboardEvent> = {}): KeyboardEvent =>
    ({ key, code: `Key${key.toUpperCase()}`, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, getModifierState: () => false, ...more }) as KeyboardEvent;

  it('are commands unless somebody writes', () => {
    expect(commandOf(press('?'), false)).toBe('help');
    expect(commandOf(press('?'), true)).toBeNull();
    expect(commandOf(press('Escape'), true)).toBe('stop');
  });

  it('work with Control and Command', () => {
    expect(commandOf(press('k', { ctrlKey: true }), true)).toBe('search');
    expect(commandOf(press('k', { metaKey: true }), true, true)).toBe('search');
    expect(commandOf(press('k', { ctrlKey: true }), true, true)).toBeNull();
  });

  it('are found by their place where a modifier changes the sign', () => {
    expect(commandOf(press('~', { altKey: true, code: 'KeyN' }), true)).toBe('newChat');
    expect(commandOf(press('l', { altKey: true, code: 'KeyN' }), true)).toBeNull();
  });

  it('never eat a letter: Option types on a Mac, AltGr elsewhere', () => {
    for (const letter of ['n', 'c', 'm', 'b']) {
      expect(commandOf(press('ñ', { altKey: true, code: `Key${letter.toUpperCase()}` }), true, true)).toBeNull();
      const altGr = { altKey: true, ctrlKey: true, getModifierState: () => true };
      expect(commandOf(press(letter, altGr), true)).toBeNull();
    }
    expect(commandOf(press('˜', { altKey: true, ctrlKey: true, code: 'KeyN' }), true, true)).toBe('newChat');
  });

  it('leave the browser its own', () => {
    expect(commandOf(press('K', { ctrlKey: true, shiftKey: true }), false)).toBeNull();
  });

  it('are written as the platform writes them', () => {
    expect([keysOf('newChat', true), keysOf('newChat', false)]).toEqual([['⌃', '⌥', 'N'], ['Alt', 'N']]);
    expect(keysOf('search', true).join('')).toBe('⌘K');
  });

  it('belong to an input method while it composes, in the order of Safari too', () => {
    expect(composes({ isComposing: false, keyCode: 229 })).toBe(true);
    expect(composes({ isComposing: true, keyCode: 13 })).toBe(true);
    expect(composes({ isComposing: false, keyCode: 13 })).toBe(false);
  });
});

describe('highlighted lines', () => {
  it('are whole by themselves', () => {
    expect(lines('<span class="c">/* a\nb */</span> x')).toEqual(['<span class="c">/* a</span>', '<span class="c">b */</span> x']);
  });
});
