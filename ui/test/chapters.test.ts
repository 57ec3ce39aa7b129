import { expect, test } from 'vitest';
import { CHAPTER, chapters } from '../src/lib/chapters.ts';

const names = (count: number, from = 0): string[] => Array.from({ length: count }, (_, index) => `m${index + from}`);
const groups = (path: string[], origin: number, from: number): Record<number, string[]> =>
  Object.fromEntries(chapters(path, origin, from).map(({ number, ids }) => [number, ids]));

test('every message is in one chapter, in its order', () => {
  const path = names(3 * CHAPTER + 1);
  const found = chapters(path, 0, 0);
  expect(found.flatMap(({ ids }) => ids)).toEqual(path);
  expect(found.map(({ ids }) => ids.length)).toEqual([CHAPTER, CHAPTER, CHAPTER, 1]);
});

test('only the messages from an index on are shown', () => {
  const path = names(3 * CHAPTER);
  expect(chapters(path, 0, CHAPTER + 1).flatMap(({ ids }) => ids)).toEqual(path.slice(CHAPTER + 1));
  expect(chapters(path, 0, -5).flatMap(({ ids }) => ids)).toEqual(path);
  expect(chapters([], 0, 0)).toEqual([]);
});

test('messages before and after leave the chapters as they are', () => {
  const path = names(2 * CHAPTER);
  const longer = [...names(5, -5), ...path, 'last'];
  const [before, after] = [groups(path, 0, 0), groups(longer, 5, 0)];
  expect(after[0]).toEqual(before[0]);
  expect(after[1]).toEqual(before[1]);
  expect(after[-1]).toEqual(names(5, -5));
  expect(after[2]).toEqual(['last']);
});
