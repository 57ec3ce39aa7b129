import { describe, expect, it } from 'vitest';
import { Tree } from '../src/lib/tree.ts';
import type { Message } from '../src/lib/types.ts';
import { message } from './event.ts';

/** One question with two answers; the first answer was followed up, and that question edited. */
const LIST = [
  message('q1', null, 'user'),
  message('a1', 'q1', 'assistant'),
  message('q2', 'a1', 'user'),
  message('a2', 'q2', 'assistant'),
  message('q2b', 'a1', 'user'),
  message('a2b', 'q2b', 'assistant'),
  message('a1b', 'q1', 'assistant'),
];
const planted = (messages: Message[]): Tree => {
  const tree = new Tree();
  for (const one of messages) tree.set(one);
  return tree;
};
const TREE = planted(LIST);
const at = (id: string): Message => TREE.get(id) as Message;

describe('a thread', () => {
  it('is shown from its root to its head', () => {
    expect(TREE.path('a2b')).toEqual(['q1', 'a1', 'q2b', 'a2b']);
  });

  it('is empty without a head', () => {
    expect(TREE.path(null)).toEqual([]);
  });

  it('is shown as far as it is known', () => {
    expect(planted([at('a2')]).path('a2')).toEqual(['a2']);
  });

  it('has its branches in the order in which they were made', () => {
    expect(TREE.siblings(at('a1b'))).toEqual(['a1', 'a1b']);
    expect(TREE.children('a1')).toEqual(['q2', 'q2b']);
  });

  it('shows the newest leaf of a branch', () => {
    expect(TREE.leaf('a1')).toBe('a2b');
  });

  it('is switched to the neighbouring branch, and no further than the last', () => {
    expect(TREE.beside(at('a1'), 1)).toBe('a1b');
    expect(TREE.beside(at('a1b'), -1)).toBe('a1');
    expect(TREE.beside(at('a1b'), 1)).toBeNull();
  });

  it('is another tree only when a message is new or stands elsewhere', () => {
    const tree = planted(LIST);
    expect(tree.set({ ...at('a2'), content: 'more' })).toBe(false);
    expect(tree.set(message('a3', 'q1', 'assistant'))).toBe(true);
    tree.delete('a3');
    expect(tree.children('q1')).toEqual(['a1', 'a1b']);
  });

  it('knows which messages lead to which', () => {
    expect([TREE.leadsTo('a1', 'a2b'), TREE.leadsTo('a1b', 'a2b'), TREE.leadsTo('a1', null)]).toEqual([true, false, false]);
  });
});
