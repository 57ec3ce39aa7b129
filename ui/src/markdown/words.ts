/** Words of our own in Markdown: citation marks, footnotes, folded parts, and emphasis that CJK brackets would break. */
import type { Token, TokenizerAndRendererExtension, Tokens } from 'marked';
import { escapeHtml } from './tags.ts';

const NUMBERS = /^\[(\d{1,3}(?:[ \t]*[,;][ \t]*\d{1,3})*)\](?![(:])(?!\[(?!\d|\^))/;
/** What is indexed, not sourced: `a[1]`, `row_2[1]`, `argv[1]`. */
const INDEXED = /(?:^|[^\p{L}\p{N}])(?:[a-z]|\w*_\w*|args?|argv|arr|nums|vec|idx)$/u;

const citation: TokenizerAndRendererExtension = {
  name: 'cite',
  level: 'inline',
  start: (source) => /\[\d/.exec(source)?.index,
  tokenizer(source, tokens) {
    const match = NUMBERS.exec(source);
    if (!match || INDEXED.test(tokens.at(-1)?.raw ?? '')) return undefined;
    return { type: 'cite', raw: match[0], text: match[1] ?? '' };
  },
  renderer: (token) => `<span data-cite="${String(token['text'])}">${String(token.raw)}</span>`,
};

const NOTE = /^\[\^([^\]\s]{1,40})\](?!:)/;
const NOTE_TEXT = /^ {0,3}\[\^([^\]\s]{1,40})\]:[ \t]*([^\n]*(?:\n(?![ \t]*(?:\n|$)| {0,3}\[\^)[^\n]+)*)(?:\n|$)/;

const note: TokenizerAndRendererExtension = {
  name: 'note',
  level: 'inline',
  start: (source) => source.indexOf('[^'),
  tokenizer(source) {
    const match = NOTE.exec(source);
    return match ? { type: 'note', raw: match[0], text: match[1] ?? '' } : undefined;
  },
  renderer: (token) => `<sup data-note="${escapeHtml(String(token['text']))}">${escapeHtml(String(token['text']))}</sup>`,
};

const noteText: TokenizerAndRendererExtension = {
  name: 'noteText',
  level: 'block',
  start: (source) => /^ {0,3}\[\^[^\]\s]{1,40}\]:/m.exec(source)?.index,
  tokenizer(source) {
    const match = NOTE_TEXT.exec(source);
    if (!match) return undefined;
    const token = { type: 'noteText', raw: match[0], text: match[1] ?? '', tokens: [] };
    this.lexer.inline(match[2] ?? '', token.tokens);
    return token;
  },
  renderer(token) {
    const name = escapeHtml(String(token['text']));
    return `<div data-note-text="${name}"><sup>${name}</sup> ${this.parser.parseInline(token.tokens ?? [])}</div>\n`;
  },
};

/** Where the `</details>` ends that belongs to the `<details>` at the start; the end of the text while it is still open. */
function endOfDetails(source: string): number {
  let depth = 0;
  for (const match of source.matchAll(/<(\/?)details\b[^>]*>/gi)) {
    depth += match[1] ? -1 : 1;
    if (depth === 0) return match.index + match[0].length;
  }
  return source.length;
}

interface Details extends Tokens.Generic {
  summary: Token[];
  tokens: Token[];
}

const details: TokenizerAndRendererExtension = {
  name: 'details',
  level: 'block',
  start: (source) => /^ {0,3}<details\b/im.exec(source)?.index,
  tokenizer(source) {
    const head = /^ {0,3}<details(\s[^>]*)?>\s*(?:<summary[^>]*>([\s\S]*?)<\/summary>)?/i.exec(source);
    if (!head) return undefined;
    const end = endOfDetails(source);
    const raw = source.slice(0, end) + (/^[ \t]*\n/.exec(source.slice(end))?.[0] ?? '');
    const inside = source.slice(Math.min(head[0].length, end), end).replace(/<\/details\s*>$/i, '');
    const token: Details = { type: 'details', raw, open: /\bopen\b/i.test(head[1] ?? ''), summary: [], tokens: [] };
    this.lexer.inline(head[2]?.trim() ?? '', token.summary);
    this.lexer.blockTokens(inside.trim(), token.tokens);
    return token;
  },
  renderer(token) {
    const { summary, tokens, open } = token as Details;
    const head = summary.length ? `<summary>${this.parser.parseInline(summary)}</summary>` : '';
    return `<details${open ? ' open' : ''}>${head}${this.parser.parse(tokens)}</details>\n`;
  },
  childTokens: ['summary', 'tokens'],
};

const CJK = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;
const EMPHASIS = /^(\*{1,3})(?![\s*])((?:\\.|[^*\n\\`])+?)(?<![\s*])\1(?!\*)/;
const EDGE = /^[\p{P}\p{S}]|[\p{P}\p{S}]$/u;

/** CommonMark takes `**「…」**` beside letters for plain stars, since it counts on spaces between words. */
const emphasis: TokenizerAndRendererExtension = {
  name: 'cjkEmphasis',
  level: 'inline',
  tokenizer(source) {
    const match = EMPHASIS.exec(source);
    const inside = match?.[2] ?? '';
    if (!match || !EDGE.test(inside) || !CJK.test(inside + source.slice(match[0].length, match[0].length + 1))) return undefined;
    return { type: 'cjkEmphasis', raw: match[0], stars: match[1]?.length, tokens: this.lexer.inlineTokens(inside) };
  },
  renderer(token) {
    const inside = this.parser.parseInline(token.tokens ?? []);
    const strong = token['stars'] === 1 ? inside : `<strong>${inside}</strong>`;
    return token['stars'] === 2 ? strong : `<em>${strong}</em>`;
  },
};

export const words = [citation, note, noteText, details, emphasis];
