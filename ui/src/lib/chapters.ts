/** The messages of a long thread in groups of a fixed size, which the page leaves out of its layout as a whole. Pure. */

export const CHAPTER = 8;

export interface Chapter {
  /** Stays the same while messages come before and after it. */
  number: number;
  ids: string[];
}

/** The chapters of `path` that have messages at or after the index `from`; `origin` is the index that chapter 0 begins at. */
export function chapters(path: string[], origin: number, from: number): Chapter[] {
  const first = Math.floor((Math.max(0, from) - origin) / CHAPTER);
  const last = Math.floor((path.length - 1 - origin) / CHAPTER);
  return Array.from({ length: last - first + 1 }, (_, index) => {
    const number = first + index;
    const begin = origin + number * CHAPTER;
    return { number, ids: path.slice(Math.max(0, begin, from), begin + CHAPTER) };
  });
}
