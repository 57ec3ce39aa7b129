/** The words of a Word document, paragraph by paragraph; tables cell by cell. */
import { entry } from './zip.ts';

const W = 'http://schemas.openxmlformats.org/wordprocessingml/2006/main';

function wordsOf(node: Element): string {
  let text = '';
  for (const child of node.getElementsByTagNameNS(W, '*')) {
    if (child.localName === 't') text += child.textContent ?? '';
    else if (child.localName === 'tab') text += '\t';
    else if (child.localName === 'br') text += '\n';
  }
  return text;
}

/** Null for what is no such document. */
export async function docxText(bytes: Uint8Array): Promise<string | null> {
  const found = await entry(bytes, (name) => name === 'word/document.xml').catch(() => null);
  if (!found) return null;
  const parsed = new DOMParser().parseFromString(new TextDecoder().decode(found), 'application/xml');
  if (parsed.querySelector('parsererror')) return null;
  return [...parsed.getElementsByTagNameNS(W, 'p')].map(wordsOf).join('\n').replace(/\n{3,}/g, '\n\n').trim();
}
