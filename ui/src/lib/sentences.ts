/** Whole sentences out of a growing answer, for ears: a screen reader should never hear half a word. */

export interface Heard {
  spoken: string;
  /** Where in the source the next sentence begins. */
  next: number;
}

const FENCE = /```[\s\S]*?(```|$)/g;

/** Markdown as one would read it aloud. */
export function plain(source: string): string {
  return source
    .replace(FENCE, ' Code block. ')
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/^\s*[|:\- ]+$/gm, '')
    .replace(/[*_`#>|~]+/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

function lastEnd(source: string): number {
  const ends = [...source.matchAll(/[.!?…。！？:]["')\]]*\s|\n\s*\n/g)];
  const last = ends.at(-1);
  return last ? last.index + last[0].length : 0;
}

/** What can be spoken of `source` from `from` on; all of it when `whole`, and never the inside of an open code block. */
export function sentences(source: string, from: number, whole: boolean): Heard {
  const rest = source.slice(from);
  const fences = rest.split('```').length - 1;
  const open = !whole && fences % 2 === 1 ? rest.lastIndexOf('```') : rest.length;
  const end = whole ? rest.length : lastEnd(rest.slice(0, open));
  return { spoken: plain(rest.slice(0, end)), next: from + end };
}
