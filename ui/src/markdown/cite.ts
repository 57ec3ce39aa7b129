/** Citation marks in a text, turned into links as soon as their sources are known. */
import type { Citation } from '../lib/types.ts';

const safe = (url: string): boolean => /^https?:\/\//i.test(url);

export function cite(within: ParentNode, citations: Citation[]): void {
  const sources = new Map(citations.map((citation) => [String(citation.index), citation]));
  for (const mark of within.querySelectorAll<HTMLElement>('span[data-cite]')) {
    const source = sources.get(mark.dataset['cite'] ?? '');
    if (source && safe(source.url)) mark.replaceWith(anchor(source));
  }
}

function anchor({ index, url, title }: Citation): HTMLAnchorElement {
  const link = document.createElement('a');
  link.className = 'cite';
  link.href = url;
  link.title = title ?? url;
  link.target = '_blank';
  link.rel = 'noopener noreferrer nofollow';
  link.textContent = String(index);
  return link;
}
