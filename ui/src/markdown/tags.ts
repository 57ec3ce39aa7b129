/** Which angle brackets in a text are HTML. All others are words, and words do not disappear. */
import type { Token, Tokens } from 'marked';

/** What HTML of a model may become; an `input` is only made by a list of tasks. */
export const TAGS = ['a', 'abbr', 'b', 'blockquote', 'br', 'caption', 'cite', 'code', 'dd', 'del', 'details', 'dfn', 'div', 'dl', 'dt',
  'em', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'i', 'img', 'ins', 'kbd', 'li', 'mark', 'ol', 'p', 'pre', 'q', 's', 'samp',
  'small', 'span', 'strong', 'sub', 'summary', 'sup', 'table', 'tbody', 'td', 'tfoot', 'th', 'thead', 'tr', 'u', 'ul', 'var', 'wbr'];

const KNOWN = new Set(TAGS);
const VOID = new Set(['br', 'hr', 'img', 'wbr']);
/** Elements that HTML closes by itself. */
const CLOSED = new Set(['dd', 'dt', 'li', 'p', 'tbody', 'td', 'tfoot', 'th', 'thead', 'tr']);
const TAG = /<(\/?)([a-z][a-z0-9-]*)((?:\s(?:"[^"]*"|'[^']*'|[^<>"'])*)?)\/?>|<(?:!|\?)[^>]*>/gi;

export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign] ?? sign);

interface Tag {
  raw: string;
  at: number;
  name: string;
  closing: boolean;
  bare: boolean;
}

function tagsOf(html: string): Tag[] {
  return [...html.matchAll(TAG)].map(([raw, slash, name, attributes], index, all) => ({
    raw, at: all[index]?.index ?? 0, name: (name ?? '').toLowerCase(), closing: slash === '/', bare: !attributes?.trim(),
  }));
}

/** The tags that open what is closed, close what is open, or need neither. */
function paired(tags: Tag[]): Set<Tag> {
  const open: Tag[] = [];
  const found = new Set(tags.filter(({ name }) => VOID.has(name)));
  for (const tag of tags) {
    if (VOID.has(tag.name)) continue;
    if (!tag.closing) open.push(tag);
    const partner = tag.closing ? open.findLastIndex(({ name }) => name === tag.name) : -1;
    for (const one of partner < 0 ? [] : [tag, ...open.splice(partner).slice(0, 1)]) found.add(one);
  }
  return found;
}

/** A block of HTML in which everything that is none is text. A lone tag with attributes may frame the blocks that follow. */
function settledBlock(html: string): string {
  const tags = tagsOf(html);
  const pairs = paired(tags);
  const stays = (tag: Tag): boolean => KNOWN.has(tag.name) && (pairs.has(tag) || CLOSED.has(tag.name) || !tag.bare || tag.closing);
  let at = 0;
  let settled = '';
  for (const tag of tags) {
    settled += html.slice(at, tag.at) + (stays(tag) ? tag.raw : escapeHtml(tag.raw));
    at = tag.at + tag.raw.length;
  }
  return settled + html.slice(at);
}

function settleInline(tokens: Token[]): void {
  const html = tokens.filter((token) => token.type === 'html');
  const tags = html.flatMap(({ raw }) => tagsOf(raw).slice(0, 1));
  if (tags.length !== html.length) return;
  const pairs = paired(tags);
  html.forEach((token, index) => {
    const tag = tags[index];
    if (tag && !pairs.has(tag)) Object.assign(token, { type: 'text', text: token.raw, escaped: false });
  });
}

/** Makes text of what is no HTML in this token; those inside it come by themselves. */
export function settle(token: Token): void {
  if (token.type === 'table') {
    const { header, rows } = token as Tokens.Table;
    for (const cell of [...header, ...rows.flat()]) settleInline(cell.tokens);
  } else if (token.type === 'html' && (token as Tokens.HTML).block) {
    (token as Tokens.HTML).text = settledBlock((token as Tokens.HTML).text);
  } else if ('tokens' in token && token.tokens) settleInline(token.tokens);
}

/** Whether `source` begins with what looks like a tag but is none. */
export function isNoTag(source: string): boolean {
  if (/^ {0,3}<[!?]/.test(source)) return true;
  const name = /^ {0,3}<\/?([a-z][a-z0-9-]*)(?=[\s/>])/i.exec(source)?.[1];
  return name !== undefined && !KNOWN.has(name.toLowerCase());
}
