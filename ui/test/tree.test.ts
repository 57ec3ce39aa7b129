import { describe, expect, it } from 'vitest';
import { beside, children, leaf, path, siblings } from '../src/lib/tree.ts';
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
const TREE = new Map(LIST.map((one) => [one.id, one]));
const at = (id: string): Message => TREE.get(id) as Message;
const ids = (list: Message[]): string[] => list.map(({ id }) => id);

describe('a thread', () => {
  it('is shown from its root to its head', () => {
    expect(ids(path(TREE, 'a2b'))).toEqual(['q1', 'a1', 'q2b', 'a2b']);
  });

  it('is empty without a head', () => {
    expect(path(TREE, null)).toEqual([]);
  });

  it('is shown as far as it is known', () => {
    expect(ids(path(new Map([['a2', at('a2')]]), 'a2'))).toEqual(['a2']);
  });

  it('has its branches in the order in which they were made', () => {
    expect(ids(siblings(TREE, at('a1b')))).toEqual(['a1', 'a1b']);
    expect(ids(children(TREE, 'a1'))).toEqual(['q2', 'q2b']);
  });

  it('shows the newest leaf of a branch', () => {
    expect(leaf(TREE, 'a1')).toBe('a2b');
  });

  it('is switched to the neighbouring branch, and no further than the last', () => {
    expect(beside(TREE, at('a1'), 1)).toBe('a1b');
    expect(beside(TREE, at('a1b'), -1)).toBe('a2b');
    expect(beside(TREE, at('a1b'), 1)).toBeNull();
  });
});
