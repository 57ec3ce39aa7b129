import { describe, expect, it } from 'vitest';
import { csv } from '../src/lib/csv.ts';
import { chatFiles, summed } from '../src/lib/imports.ts';
import { grouped, windowed } from '../src/lib/models.ts';
import { blanks, filled, found, wanted } from '../src/lib/prompts.ts';
import { known, parsed, tagsOf } from '../src/lib/tags.ts';
import type { Model, Thread } from '../src/lib/types.ts';

describe('prompts', () => {
  it('are looked for by a slash and one word only', () => {
    expect(['/', '/su', '/su m', 'a /su', '//'].map(wanted)).toEqual(['', 'su', null, null, '/']);
  });
  it('come by their beginning first', () => {
    const all = [{ name: 'resume', text: '' }, { name: 'sum', text: '' }];
    expect(found(all, 'sum').map(({ name }) => name)).toEqual(['sum', 'resume']);
  });
  it('ask for each blank once, and leave what is not filled', () => {
    const text = 'To {{ who }}: {{what}}, dear {{who}}';
    expect(blanks(text)).toEqual(['who', 'what']);
    expect(filled(text, { who: '{{what}}' })).toBe('To {{what}}: {{what}}, dear {{what}}');
  });
});

describe('a table as CSV', () => {
  it('quotes what needs it', () => expect(csv([['a', 'b,c', 'd"e', 'f\ng']])).toBe('a,"b,c","d""e","f\ng"\r\n'));
  it('makes no formula of a model’s words', () => expect(csv([['=1+1', '@x', '-5.2', '+3 %', '-rm']])).toBe("'=1+1,'@x,-5.2,+3 %,'-rm\r\n"));
});

describe('tags', () => {
  const of = (settings: Thread['settings']): Thread => ({ settings }) as Thread;
  it('are words, each once, without their signs', () => expect(parsed('#work, home,work ,, ')).toEqual(['work', 'home']));
  it('of all chats are in order', () => expect(known([of({ tags: ['b', 'a'] }), of({ tags: ['b', 3] }), of(null)])).toEqual(['a', 'b']));
  it('that are none are none', () => expect(tagsOf(of({ tags: 'x' }))).toEqual([]));
});

describe('the picker', () => {
  const model = (id: string): Model => ({ id, llmproxy: { kind: 'model', provider: id.split('/')[0] ?? '', targets: null, context_length: null, max_output: null, input: null, tools: null, reasoning: null, pricing: null } });
  const models = Array.from({ length: 1000 }, (_, index) => model(`p${index % 4}/m${index}`));
  it('has favourites first and what was chosen last after them, each once', () => {
    const groups = grouped(models, [], ['p1/m1'], ['p1/m1', 'p2/m2', 'gone/x']);
    expect(groups.slice(0, 2).map(({ rows }) => rows.map(({ id }) => id))).toEqual([['p1/m1'], ['p2/m2']]);
  });
  it('builds some of a thousand rows, each with its place among all', () => {
    const shown = windowed(grouped(models, []), 300);
    const rows = shown.flatMap((group) => group.rows);
    expect(rows.map(({ index }) => index)).toEqual(Array.from({ length: 300 }, (_, index) => index));
  });
});

describe('an export', () => {
  it('is itself, and what was left out of several files is one sum', async () => {
    const file = new Blob(['[]']);
    expect(await chatFiles(file)).toEqual([file]);
    expect(summed([{ image: 1 }, { image: 2, file: 1 }, {}])).toEqual({ image: 3, file: 1 });
  });
});
