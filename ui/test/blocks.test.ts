import { describe, expect, it } from 'vitest';
import { Blocks, type Block } from '../src/markdown/blocks.ts';
import { html, tokens } from '../src/markdown/parser.ts';

/** Grows a text piece by piece, and gives all of its blocks with the last tail. */
function grown(text: string, step: number): Block[] {
  const blocks = new Blocks();
  const finished: Block[] = [];
  let tail: Block | null = null;
  for (let end = step; end < text.length + step; end += step) {
    const growth = blocks.grow(text.slice(0, end));
    finished.push(...growth.finished);
    tail = growth.tail;
  }
  return tail ? [...finished, tail] : finished;
}

/** HTML with the pieces of lists and tables put together again, as the painter does in the page. */
function joined(blocks: Block[]): string {
  return blocks
    .map(({ token, joins }) => ({ text: html([token]), joins }))
    .reduce((all, { text, joins }) => (joins ? all.replace(/(<\/tbody><\/table>|<\/ul>|<\/ol>|<\/p>)\s*$/, '') + inner(text) : all + text), '');
}

const inner = (text: string): string => text.replace(/^[\s\S]*?(<tbody>|<ul>|<ol[^>]*>|<p>)\n?/, '').replace(/^<table>[\s\S]*<\/thead>\n/, '');
const items = (n: number, mark: (index: number) => string): string => Array.from({ length: n }, (_, index) => `${mark(index)} item ${index}`).join('\n');

const words = (n: number): string => Array.from({ length: n }, (_, at) => `**bold ${at}** and \`code - ${at}\`, a [link](https://a.example/${at}) - so`).join(' ');

const TEXTS: Record<string, string> = {
  paragraphs: 'One *two*.\n\nThree\nfour.\n\n> quoted\n> more\n\n# Five\n\nsix',
  code: 'Look:\n\n```python\na = 1\n\nb = "```"\n```\n\nafter',
  'a long list': `Before\n\n${items(30, () => '-')}\n\nAfter`,
  'a numbered list': `${items(30, (index) => `${index + 1}.`)}\n\nAfter`,
  'a nested list': items(9, () => '-').replaceAll('\n', '\n  - inner\n'),
  'a long table': `| a | b |\n|---|--:|\n${Array.from({ length: 40 }, (_, n) => `| ${n} | x |`).join('\n')}\n\nAfter`,
  'a long paragraph': `${words(36)}\n\nAfter`,
  'a long paragraph in bold': `**${words(36).replaceAll('**', '')}**\n\nAfter`,
  'a poem': `${words(36).replaceAll(', ', '\n')}\n\nAfter`,
  math: 'Inline $a_1 + b$ and\n\n$$\nx^2\n$$\n\nend',
};

describe('a growing text', () => {
  for (const [name, text] of Object.entries(TEXTS)) {
    it(`is the same in pieces of any size: ${name}`, () => {
      const whole = joined(grown(text, text.length)).replace(/\s+/g, '');
      for (const step of [1, 2, 3, 7, 50]) expect(joined(grown(text, step)).replace(/\s+/g, '')).toBe(whole);
    });
  }

  it('gives each finished block once', () => {
    const blocks = new Blocks();
    expect(blocks.grow('One\n\nTwo').finished).toHaveLength(1);
    expect(blocks.grow('One\n\nTwo\n\nThree').finished).toHaveLength(1);
    expect(blocks.grow('One\n\nTwo\n\nThree').finished).toHaveLength(0);
  });

  it('never leaves more than a few items or rows in its tail', () => {
    for (const text of [TEXTS['a long list'], TEXTS['a long table']]) {
      const cut = (text ?? '').slice(0, (text ?? '').indexOf('After')).trimEnd();
      const tail = grown(cut, 5).at(-1);
      expect(tail?.token.raw.split('\n').length).toBeLessThan(12);
    }
  });

  it('never leaves more than a screenful of a paragraph in its tail', () => {
    expect(grown(words(400), 50).at(-1)?.token.raw.length).toBeLessThan(2500);
  });

  it('knows the links that were defined before', () => {
    const last = grown('[a]: https://a.example\n\nSee [a].', 4).at(-1);
    expect(last ? html([last.token]) : '').toContain('href="https://a.example"');
  });
});

describe('our own words in Markdown', () => {
  const rendered = (text: string): string => html(tokens(text, {}));

  it('know money from math', () => {
    expect(rendered('It costs $5 and $10.')).not.toContain('data-math');
    expect(rendered('It is $x$.')).toContain('<span data-math="inline">x</span>');
    expect(rendered('\\(y\\) and \\[z\\]')).toContain('data-math');
  });

  it('mark citations but no links', () => {
    expect(rendered('True [1].')).toContain('<span data-cite="1">[1]</span>');
    expect(rendered('A [1](https://a.example).')).not.toContain('data-cite');
  });

  it('escape what stands in code and math', () => {
    expect(rendered('```\n<b>\n```')).toContain('&lt;b&gt;');
    expect(rendered('$<b>$')).toContain('&lt;b&gt;');
  });
});
