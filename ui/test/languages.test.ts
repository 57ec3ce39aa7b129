import { describe, expect, it } from 'vitest';
import { ar } from '../src/languages/ar.ts';
import { preferred } from '../src/languages/index.ts';
import { ja } from '../src/languages/ja.ts';
import { strings, translate } from '../src/strings.ts';

const leaves = (given: object, at = ''): string[] =>
  Object.entries(given).flatMap(([name, value]) => (typeof value === 'object' && value !== null && !Array.isArray(value) ? leaves(value as object, `${at}${name}.`) : [`${at}${name}`]));

const at = (words: object, path: string): unknown => path.split('.').reduce<unknown>((found, name) => (found as Record<string, unknown>)[name], words);

/** Names, and languages as those who speak them call them. */
const ALIKE = new Set(['name', 'settings.languages.en', 'settings.languages.ar', 'settings.languages.ja', 'settings.version', 'activity.p50', 'activity.p95']);

describe('another language', () => {
  it('is the first of the reader’s that is known', () => {
    expect([['fr-FR', 'ja-JP', 'en'], ['ar-EG'], ['en-GB', 'ja'], ['fr'], []].map(preferred)).toEqual(['ja', 'ar', 'en', 'en', 'en']);
  });
  it('changes words within the groups that others hold, and leaves what it does not have', () => {
    const words = { group: { a: 'one', b: 'two' }, list: ['x'] };
    const held = words.group;
    translate(words, { group: { a: 'eins' }, list: ['y'] });
    expect([held, words.list]).toEqual([{ a: 'eins', b: 'two' }, ['y']]);
  });
  for (const [name, translation] of Object.entries({ ar, ja })) {
    it(`${name} says nothing that English does not know`, () => {
      const known = new Set(leaves(strings));
      expect(leaves(translation).filter((one) => !known.has(one))).toEqual([]);
    });
    it(`${name} says everything in its own words`, () => {
      const own = new Set(leaves(translation));
      const english = (path: string): boolean => !own.has(path) || at(translation, path) === at(strings, path);
      expect(leaves(strings).filter((path) => !ALIKE.has(path) && english(path))).toEqual([]);
    });
  }
});

it('Arabic counts by its own rules', () => {
  expect([1, 2, 3, 11, 100].map((n) => ar.threads?.hits?.(n))).toEqual(['نتيجة واحدة', 'نتيجتان', '3 نتائج', '11 نتيجة', '100 نتيجة']);
});
