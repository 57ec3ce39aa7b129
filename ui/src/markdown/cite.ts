/** Citation marks in a text, turned into links as soon as their sources are known. */
import type { Citation } from '../lib/types.ts';

const safe = (url: string): boolean => /^https?:\/\//i.test(url);

export function cite(within: ParentNode, citations: Citation[]): void {
  const sources = new Map(citations.filter(({ url }) => safe(url)).map((citation) => [citation.index, citation]));
  for (const mark of within.querySelectorAll<HTMLElement>('span[data-cite]')) {
    const numbers = (mark.dataset['cite'] ?? '').split(/[,;]/).map(Number);
    if (numbers.some((number) => sources.has(number))) mark.replaceWith(...numbers.map((number) => link(sources.get(number)) ?? unknown(number)));
  }
}

function link(source: Citation | undefined): HTMLAnchorElement | null {
  if (!source) return null;
  const { index, url, title } = source;
  const made = document.createElement('a');
  made.className = 'cite';
  made.href = url;
  made.title = title ?? url;
  made.target = '_blank';
  made.rel = 'noopener noreferrer nofollow';
  made.textContent = String(index);
  return made;
}

/** A number whose source may still come. */
function unknown(number: number): HTMLElement {
  const mark = document.createElement('span');
  mark.dataset['cite'] = String(number);
  mark.textContent = `[${number}]`;
  return mark;
}
