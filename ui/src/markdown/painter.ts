/** A growing Markdown text in the page: finished blocks stay as they are, only the tail is painted anew. */
import type { Token, Tokens } from 'marked';
import remend from 'remend';
import { csv, rowsOf } from '../lib/csv.ts';
import { save } from '../lib/save.ts';
import type { Citation } from '../lib/types.ts';
import { Blocks, type Block } from './blocks.ts';
import { cite } from './cite.ts';
import { CodeView } from './code.ts';
import { enhance } from './enhance.ts';
import { join, pieces } from './join.ts';
import { reuse } from './morph.ts';
import { html, tokens, type Links } from './parser.ts';
import { sanitised } from './sanitise.ts';

/** A tail that is dear to paint is painted less often: it may take one part in this many of the time. */
const RARITY = 5;
const CHEAP_MS = 3;

/** Blocks out of sight cost nothing, part by part: the browser watches each part, so there must not be one for every block. */
const PART_BLOCKS = 12;
const HEADING = /^H\d$/;

function full(part: Element): boolean {
  return part.children.length >= PART_BLOCKS && !HEADING.test(part.lastElementChild?.tagName ?? '');
}

const isCode = (token: Token): token is Tokens.Code => token.type === 'code';

/** A half-written token, closed so that it shows no loose stars and brackets. */
function mended(token: Token, links: Links): Token[] {
  return tokens(remend(token.raw), links);
}

/** From a footnote's number to its text. A link would be a place of the page's own. */
function toNote({ target, currentTarget }: Event): void {
  const name = (target as Element).closest<HTMLElement>('button[data-note]')?.dataset['note'];
  if (name === undefined) return;
  const note = (currentTarget as Element).querySelector<HTMLElement>(`[data-note-text="${CSS.escape(name)}"]`);
  note?.scrollIntoView({ block: 'center' });
  note?.focus({ preventScroll: true });
}

/** The whole table as a file. */
function toCsv({ target }: Event): void {
  const table = (target as Element).closest('button.csv')?.parentElement?.querySelector('table');
  if (table) save(new Blob([csv(rowsOf(table))], { type: 'text/csv' }), 'table.csv');
}

export class Painter {
  #blocks = new Blocks();
  #text = '';
  #tail: { nodes: ChildNode[]; joins: boolean } | null = null;
  #code: CodeView | null = null;
  #restUntil = 0;
  #later: ReturnType<typeof setTimeout> | undefined;
  #citations: Citation[] = [];
  #defined = 0;

  constructor(readonly host: HTMLElement) {
    host.addEventListener('click', toNote);
    host.addEventListener('click', toCsv);
  }

  /** Shows `text`. While it grows a call may be put off a little, but the last one is always carried out. */
  paint(text: string, growing: boolean): void {
    clearTimeout(this.#later);
    const now = performance.now();
    if (growing && now < this.#restUntil) {
      this.#later = setTimeout(() => this.paint(text, growing), this.#restUntil - now);
      return;
    }
    this.#render(text.replaceAll('\r\n', '\n'), growing);
    const cost = performance.now() - now;
    this.#restUntil = cost > CHEAP_MS ? now + cost * RARITY : 0;
  }

  cite(citations: Citation[]): void {
    if (citations === this.#citations) return;
    this.#citations = citations;
    this.#define();
  }

  /** Sources as the provider names them, and where it names none as the text itself does: `[1]: https://…`. */
  get #sources(): Citation[] {
    const known = new Set(this.#citations.map(({ index }) => index));
    const defined = Object.entries(this.#blocks.links).map(([name, { href, title }]) => ({ index: Number(name), url: href, title: title ?? null }));
    return [...this.#citations, ...defined.filter(({ index }) => index > 0 && !known.has(index))];
  }

  /** Links the marks whose sources have come after them. */
  #define(): void {
    const sources = this.#sources;
    if (sources.length === this.#defined) return;
    this.#defined = sources.length;
    cite(this.host, sources);
  }

  destroy(): void {
    clearTimeout(this.#later);
  }

  #render(text: string, growing: boolean): void {
    if (!text.startsWith(this.#text)) this.#clear();
    this.#text = text;
    const { finished, tail } = this.#blocks.grow(text);
    for (const block of finished) {
      this.#place(block, false);
      this.#code = null;
    }
    if (tail) this.#tail = { nodes: this.#place(tail, growing), joins: tail.joins };
    else this.#take(null);
    if (tail && !growing) this.#blocks.end(tail);
    this.#define();
  }

  #clear(): void {
    this.host.replaceChildren();
    this.#blocks = new Blocks();
    this.#tail = null;
    this.#code = null;
  }

  /** The nodes of the last tail, to be made into what has come of it; they are of no use for a block that stands elsewhere. */
  #take(block: Block | null): ChildNode[] {
    const tail = this.#tail;
    this.#tail = null;
    if (block && tail?.joins === block.joins) return tail.nodes;
    for (const node of tail?.nodes ?? []) node.remove();
    return [];
  }

  /** Puts a block at the end and gives the nodes that may change; code is not given but updated. */
  #place(block: Block, growing: boolean): ChildNode[] {
    const { token, joins } = block;
    if (isCode(token)) return this.#placeCode(token, growing);
    this.#code = null;
    const fragment = enhance(sanitised(html(growing ? mended(token, this.#blocks.links) : [token])), growing);
    if (this.#sources.length) cite(fragment, this.#sources);
    const kept = reuse(this.#take(block), joins ? pieces(fragment.firstElementChild) : [...fragment.childNodes]);
    const joined = joins ? join(this.host.lastElementChild?.lastElementChild, fragment.firstElementChild) : null;
    return [...kept, ...(joined ?? this.#append(fragment))];
  }

  #append(fragment: DocumentFragment): ChildNode[] {
    const nodes = [...fragment.childNodes];
    if (nodes.length) this.#part().append(fragment);
    return nodes;
  }

  /** Where the next block goes. */
  #part(): Element {
    const last = this.host.lastElementChild;
    if (last && !full(last)) return last;
    const part = document.createElement('div');
    part.className = 'part';
    this.host.append(part);
    return part;
  }

  #placeCode(token: Tokens.Code, growing: boolean): ChildNode[] {
    this.#take(null);
    if (!this.#code) {
      this.#code = new CodeView();
      this.#part().append(this.#code.element);
    }
    this.#code.update(token.text, token.lang ?? '', !growing);
    return [];
  }
}
