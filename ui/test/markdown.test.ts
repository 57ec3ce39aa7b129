/** No word of an answer disappears, and nothing is taken for what it is not. */
import { describe, expect, it } from 'vitest';
import { isFormula } from '../src/markdown/formula.ts';
import { html, tokens } from '../src/markdown/parser.ts';

const shown = (source: string): string => html(tokens(source, {})).trim();
/** What a reader sees of HTML that was not sanitised away. */
const read = (source: string): string =>
  shown(source).replace(/<[^>]*>/g, '').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&').trim();
const formulasIn = (source: string): string[] => [...shown(source).matchAll(/data-math="\w+">([^<]*)</g)].map(([, found]) => found ?? '');

describe('angle brackets', () => {
  it.each([
    'A List<String> of Map<K, V> and vector<int>.',
    'Run git switch <branch-name> first.',
    '<branch-name>',
    '<branch-name>\nand more of it',
    '</String> is closed',
    'The <div> element and the <input type="text"> element.',
    'A <script>alert(1)</script> is text.',
    '<script>\nalert(1)\n</script>',
    '<!-- a remark -->',
    'x <!-- a remark --> y',
    'use a <p> or a <table> tag',
    '| a | b |\n|---|---|\n| Map<K> | <div> |'.replaceAll('\n', '\n'),
  ])('are words where they are no HTML: %s', (source) => {
    const words = source.replace(/[|\n-]+/g, ' ').split(/\s+/).filter(Boolean);
    const seen = read(source);
    for (const word of words) expect(seen.replace(/-+/g, ' ').replace(/\s+/g, ' ')).toContain(word);
  });

  it('are HTML where they come in pairs', () => {
    expect(shown('H<sub>2</sub>O and <kbd>Ctrl</kbd><br>next')).toBe('<p>H<sub>2</sub>O and <kbd>Ctrl</kbd><br>next</p>');
    expect(shown('<div align="center">\n\ntitle\n\n</div>')).toContain('<div align="center">');
  });

  it('keep their Markdown inside', () => {
    expect(shown('<branch-name> is **bold**')).toBe('<p>&lt;branch-name&gt; is <strong>bold</strong></p>');
  });
});

describe('a dollar sign', () => {
  it.each(['$PATH', 'It costs $5 and $10.', '$PATH:$HOME', '$5/$10', 'set `$A` and `$B`', '$x = $y', '$5 (or 4$)', '${HOME}:${PATH}', 'from $5 or so to 10$', 'US$5 to CA$6$'])(
    'is no formula: %s', (source) => expect(formulasIn(source)).toEqual([]));

  it.each([['$x$', 'x'], ['$a_1 + b$', 'a_1 + b'], ['so $E = mc^2$.', 'E = mc^2'], ['$2 \\pi r$', '2 \\pi r'], ['$x \\text{ if so}$', 'x \\text{ if so}'], ['\\(a\\)', 'a']])(
    'frames a formula: %s', (source, formula) => expect(formulasIn(source)).toEqual([formula]));

  it('gives way to code', () => {
    expect(shown('in $ (the `$` sign)')).toContain('<code>$</code>');
    expect(shown('$$\n`a`\n$$')).toContain('<code>a</code>');
  });

  it('is judged by what it frames', () => {
    expect([isFormula('n items and m items'), isFormula('5 per month'), isFormula('f(x) = 2xy')]).toEqual([false, false, true]);
  });
});

describe('formulas of their own', () => {
  it('are found without dollars', () => {
    const aligned = '\\begin{align}\na &amp;= b \\\\\nc &amp;= d\n\\end{align}';
    expect(formulasIn(aligned.replaceAll('&amp;', '&'))).toEqual([aligned]);
    expect(formulasIn('\\[ x^2 \\].')).toEqual(['x^2.']);
  });
});

describe('citations', () => {
  const marks = (source: string): string[] => [...shown(source).matchAll(/data-cite="([^"]*)"/g)].map(([, found]) => found ?? '');

  it('are found one by one, side by side and in one bracket', () => {
    expect(marks('Yes [1]. No[2][3]. Both [1, 2].')).toEqual(['1', '2', '3', '1, 2']);
  });

  it('are not what is indexed, linked or defined', () => {
    expect(marks('prose a[1] and my_list[2] and argv[1], [1](https://a.example), `x[1]`')).toEqual([]);
  });
});

describe('more than plain Markdown', () => {
  it('has footnotes, with their texts', () => {
    const text = shown('So it is[^1].\n\n[^1]: https://a.example\n[^two]: a note\n  goes on');
    expect(text).toContain('<sup data-note="1">1</sup>');
    expect(text).toContain('data-note-text="1"><sup>1</sup>');
    expect(text).toContain('https://a.example');
    expect(text).toMatch(/data-note-text="two".*a note.*goes on/s);
  });

  it('folds what stands in details, with Markdown inside', () => {
    const text = shown('<details>\n<summary>More **so**</summary>\n\n- one\n- two\n\n</details>\n\nafter');
    expect(text).toMatch(/<details><summary>More <strong>so<\/strong><\/summary><ul>[\s\S]*<\/ul>\s*<\/details>\s*<p>after<\/p>/);
  });

  it('breaks lines where they were broken', () => {
    expect(shown('one\ntwo')).toBe('<p>one<br>two</p>');
  });

  it.each([
    ['**「重要」**です', '<strong>「重要」</strong>です'],
    ['これは**「重要」**です', 'これは<strong>「重要」</strong>です'],
    ['**重要(注意)**です', '<strong>重要(注意)</strong>です'],
    ['**plain** and *so*', '<strong>plain</strong> and <em>so</em>'],
  ])('emphasises beside CJK brackets: %s', (source, expected) => expect(shown(source)).toBe(`<p>${expected}</p>`));
});
