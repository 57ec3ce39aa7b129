/** A growing Markdown text in the page: finished blocks stay as they are, only the tail is painted anew. */
import type { Token, Tokens } from 'marked';
import remend from 'remend';
import type { Citation } from '../lib/types.ts';
import { Blocks, type Block } from './blocks.ts';
import { cite } from './cite.ts';
import { CodeView } from './code.ts';
import { enhance } from './enhance.ts';
import { join } from './join.ts';
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

export class Painter {
  #blocks = new Blocks();
  #text = '';
  #tail: ChildNode[] = [];
  #code: CodeView | null = null;
  #restUntil = 0;
  #later: ReturnType<typeof setTimeout> | undefined;
  #citations: Citation[] = [];

  constructor(readonly host: HTMLElement) {}

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
    cite(this.host, citations);
  }

  destroy(): void {
    clearTimeout(this.#later);
  }

  #render(text: string, growing: boolean): void {
    if (!text.startsWith(this.#text)) this.#clear();
    this.#text = text;
    const { finished, tail } = this.#blocks.grow(text);
    for (const node of this.#tail) node.remove();
    this.#tail = [];
    for (const block of finished) {
      this.#place(block, false);
      this.#code = null;
    }
    if (tail) this.#tail = this.#place(tail, growing);
  }

  #clear(): void {
    this.host.replaceChildren();
    this.#blocks = new Blocks();
    this.#tail = [];
    this.#code = null;
  }

  /** Puts a block at the end and gives the nodes to take away if it changes; code is not taken away but updated. */
  #place({ token, joins }: Block, growing: boolean): ChildNode[] {
    if (isCode(token)) return this.#placeCode(token, growing);
    this.#code = null;
    const fragment = enhance(sanitised(html(growing ? mended(token, this.#blocks.links) : [token])), growing);
    if (this.#citations.length) cite(fragment, this.#citations);
    const joined = joins ? join(this.host.lastElementChild?.lastElementChild, fragment.firstElementChild) : null;
    return joined ?? this.#append(fragment);
  }

  #append(fragment: DocumentFragment): ChildNode[] {
    const nodes = [...fragment.childNodes];
    this.#part().append(fragment);
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
    if (!this.#code) {
      this.#code = new CodeView();
      this.#part().append(this.#code.element);
    }
    this.#code.update(token.text, token.lang ?? '', !growing);
    return [];
  }
}
