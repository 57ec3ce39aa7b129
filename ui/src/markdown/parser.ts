/** Markdown to tokens and HTML by marked, with words of our own; what is no HTML stays text. */
import { Lexer, Marked, type Token, type Tokens } from 'marked';
import { formulas } from './formula.ts';
import { escapeHtml, isNoTag, settle } from './tags.ts';
import { words } from './words.ts';

const marked = new Marked({
  gfm: true,
  breaks: true,
  extensions: [...formulas, ...words],
  tokenizer: {
    // Nothing here makes a paragraph of it, and a bracket that is none goes on as text.
    html: (source) => (isNoTag(source) ? undefined : false),
    tag: (source) => (isNoTag(source) ? { type: 'text', raw: '<', text: '<', escaped: false } as unknown as Tokens.Tag : false),
  },
  renderer: {
    code: ({ text, lang }) => `<pre data-lang="${escapeHtml(lang ?? '')}">${escapeHtml(text)}</pre>`,
  },
});

export type Links = Record<string, Pick<Tokens.Link | Tokens.Image, 'href' | 'title'>>;

/** Tokens of a piece of a longer text; `links` are the definitions that stood before it. */
export function tokens(source: string, links: Links): Token[] {
  const lexer = new Lexer(marked.defaults);
  Object.assign(lexer.tokens.links, links);
  const found = lexer.lex(source);
  void marked.walkTokens(found, settle);
  return found;
}

export function html(found: Token[]): string {
  return marked.parser(found);
}
