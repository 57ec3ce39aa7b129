/** A growing text as blocks: finished ones are given once and never again; only the last may still change. */
import type { Token, Tokens } from 'marked';
import remend from 'remend';
import { tokens, type Links } from './parser.ts';

/** So much of a long paragraph stays open for what its next words may make of it. */
const OPEN_CHARS = 1000;
/** Emphasis that is still not closed after this many characters is taken for plain signs. */
const PATIENCE_CHARS = 6000;

/** A list or table longer than this is handed on in pieces, or its tail would be parsed whole on every frame. */
const PIECE = 6;

export interface Block {
  token: Token;
  /** Goes on with the list, table or paragraph before it. */
  joins: boolean;
}

export interface Growth {
  finished: Block[];
  tail: Block | null;
}

interface Cut {
  piece: Token;
  /** Length of the source that the piece covers. */
  length: number;
  /** What must stand before the rest for it to be read alike. */
  prefix: string;
}

function cutList(list: Tokens.List): Cut {
  const items = list.items.slice(0, -1);
  const raw = items.map((item) => item.raw).join('');
  return { piece: { ...list, items, raw }, length: raw.length, prefix: '' };
}

function cutTable(table: Tokens.Table): Cut {
  const lines = table.raw.split('\n');
  const rows = table.rows.slice(0, -1);
  const raw = `${lines.slice(0, rows.length + 2).join('\n')}\n`;
  return { piece: { ...table, rows, raw }, length: raw.length, prefix: `${lines.slice(0, 2).join('\n')}\n` };
}

/** The last place in a paragraph's plain words, `OPEN_CHARS` before its end, from where the rest cannot be read as another block. */
function seam({ raw, tokens: inline = [] }: Tokens.Paragraph): number {
  let found = 0;
  let at = 0;
  for (const token of inline) {
    if (token.type === 'text') {
      const words = token.raw.slice(0, Math.max(0, raw.length - OPEN_CHARS - at));
      const last = [...words.matchAll(/[ 。、，！？：；](?=\p{L})/gu)].at(-1);
      if (last) found = at + last.index + 1;
    }
    at += token.raw.length;
  }
  return found;
}

function cutParagraph(paragraph: Tokens.Paragraph, links: Links): Cut | null {
  const length = seam(paragraph);
  const source = paragraph.raw.slice(0, length);
  const open = remend(source.trimEnd()) !== source.trimEnd();
  if (!length || (open && paragraph.raw.length < PATIENCE_CHARS)) return null;
  const [piece] = tokens(source, links);
  return piece?.type === 'paragraph' ? { piece, length, prefix: '' } : null;
}

function cut(token: Token, links: Links): Cut | null {
  if (token.type === 'paragraph' && token.raw.length > 2 * OPEN_CHARS) return cutParagraph(token as Tokens.Paragraph, links);
  if (token.type === 'list' && (token as Tokens.List).items.length > PIECE) return cutList(token as Tokens.List);
  if (token.type === 'table' && (token as Tokens.Table).rows.length > PIECE) return cutTable(token as Tokens.Table);
  return null;
}

export class Blocks {
  #offset = 0;
  #prefix = '';
  #joins = false;
  /** Definitions that are whole; a half-written one would be taken for the truth. */
  readonly links: Links = {};

  /** `text` is all of it so far, and begins with what was given before. */
  grow(text: string): Growth {
    const found = tokens(this.#prefix + text.slice(this.#offset), this.links);
    const last = found.findLastIndex((token) => token.type !== 'space');
    if (last < 0) return { finished: [], tail: null };
    const finished = found.slice(0, last).flatMap((token) => this.#finish(token));
    const tail = found[last] as Token;
    const split = cut(tail, this.links);
    if (!split) return { finished, tail: { token: tail, joins: this.#joins } };
    finished.push({ token: split.piece, joins: this.#joins });
    this.#advance(split.length, split.prefix, true);
    return { finished, tail: this.grow(text).tail };
  }

  /** The text grows no more: what its tail defines is whole. */
  end({ token }: Block): void {
    if (token.type === 'def') this.#define(token as Tokens.Def);
  }

  #finish(token: Token): Block[] {
    const block = { token, joins: this.#joins };
    if (token.type === 'def') this.#define(token as Tokens.Def);
    this.#advance(token.raw.length, '', token.type === 'space' && this.#joins);
    return token.type === 'space' ? [] : [block];
  }

  #define({ tag, href, title }: Tokens.Def): void {
    this.links[tag] ??= { href, title: title ?? null };
  }

  #advance(length: number, prefix: string, joins: boolean): void {
    this.#offset += length - this.#prefix.length;
    this.#prefix = prefix;
    this.#joins = joins;
  }
}
