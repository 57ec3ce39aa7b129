import { describe, expect, it } from 'vitest';
import { csv } from '../src/lib/csv.ts';
import { fromOthers, Unknown } from '../src/lib/imports.ts';
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

describe('chats of other programs', () => {
  it('ChatGPT: the tree without what nobody sees, its branch and its models', () => {
    const node = (id: string, parent: string | null, message: unknown): [string, unknown] => [id, { id, parent, children: [], message }];
    const said = (role: string, text: string, more: object = {}): unknown => ({ author: { role }, create_time: 1700000000.5, content: { content_type: 'text', parts: [text] }, metadata: {}, recipient: 'all', ...more });
    const mapping = Object.fromEntries([
      node('root', null, null), node('sys', 'root', said('system', '')), node('q', 'sys', said('user', 'Why?')), node('tool', 'q', said('assistant', 'search()', { recipient: 'browser' })),
      node('a', 'tool', said('assistant', 'Because.', { metadata: { model_slug: 'gpt-4o' } })), node('a2', 'q', said('assistant', 'Well.')),
    ]);
    const { threads } = fromOthers([{ title: 'Reasons', create_time: 1700000000, update_time: 1700000100, mapping, current_node: 'a' }]);
    expect(threads[0]).toMatchObject({ title: 'Reasons', head: 'a', created_at: 1700000000 });
    expect(threads[0]?.messages.map(({ id, parent_id, role, content, model }) => [id, parent_id, role, content, model])).toEqual([
      ['q', null, 'user', 'Why?', null], ['a', 'q', 'assistant', 'Because.', 'gpt-4o'], ['a2', 'q', 'assistant', 'Well.', null],
    ]);
  });
  it('Claude: a row with thoughts and files', () => {
    const chat_messages = [
      { uuid: '1', sender: 'human', text: 'Read', created_at: '2025-01-02T03:04:05Z', attachments: [{ file_name: 'a.txt', extracted_content: 'milk' }], content: [{ type: 'text', text: 'Read' }] },
      { uuid: '2', sender: 'assistant', text: '', created_at: '2025-01-02T03:04:06Z', content: [{ type: 'thinking', thinking: 'hm' }, { type: 'text', text: 'Done' }, { type: 'tool_use' }] },
    ];
    const [thread] = fromOthers([{ uuid: 'x', name: 'Milk', created_at: '2025-01-02T03:04:05Z', updated_at: '2025-01-02T03:05:00Z', chat_messages }]).threads;
    expect(thread?.messages.map(({ role, content, reasoning, parent_id }) => [role, content, reasoning, parent_id])).toEqual([
      ['user', 'Read\n\n<file name="a.txt">\nmilk\n</file>', undefined, null], ['assistant', 'Done', 'hm', '1'],
    ]);
    expect(thread?.created_at).toBe(Date.parse('2025-01-02T03:04:05Z') / 1000);
  });
  it('Open WebUI: its tree, pin and tags', () => {
    const messages = { q: { id: 'q', parentId: null, role: 'user', content: 'Hi', timestamp: 1700000000 }, a: { id: 'a', parentId: 'q', role: 'assistant', content: 'Hello', model: 'llama3', timestamp: 1700000001 } };
    const [thread] = fromOthers([{ id: '1', title: 'T', pinned: true, meta: { tags: ['x'] }, created_at: 1700000000, updated_at: 1700000002, chat: { history: { messages, currentId: 'a' } } }]).threads;
    expect(thread).toMatchObject({ pinned: true, settings: { tags: ['x'] }, head: 'a' });
    expect(thread?.messages[1]).toMatchObject({ model: 'llama3', parent_id: 'q' });
  });
  it('llms.py: a thread with its system prompt', () => {
    const [thread] = fromOthers({ threads: [{ id: '1', title: 'T', model: 'm', systemPrompt: 'Be brief', createdAt: '2025-01-01T00:00:00Z', updatedAt: '2025-01-01T00:00:00Z', messages: [
      { id: '5', role: 'user', content: [{ type: 'text', text: 'Hi' }], timestamp: '2025-01-01T00:00:00Z' }, { id: '6', role: 'assistant', content: 'Hello', timestamp: '2025-01-01T00:00:01Z' },
    ] }] }).threads;
    expect(thread?.settings).toEqual({ system: 'Be brief' });
    expect(thread?.messages.map(({ content, model }) => [content, model])).toEqual([['Hi', null], ['Hello', 'm']]);
  });
  it('what is none of these is refused', () => {
    for (const one of [[], {}, [{ a: 1 }], 'x', null, { mapping: {} }]) expect(() => fromOthers(one)).toThrow(Unknown);
  });
  it('a circle among parents ends', () => {
    const mapping = { a: { parent: 'b', message: null }, b: { parent: 'a', message: { author: { role: 'user' }, content: { parts: ['x'] } } } };
    expect(() => fromOthers([{ mapping, current_node: 'a' }])).toThrow(Unknown);
  });
});
