/** Markdown to tokens and HTML by marked, with two words of our own: math and citation marks. */
import { Lexer, Marked, type Token, type TokenizerAndRendererExtension, type Tokens } from 'marked';

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign] ?? sign);

/** A placeholder that math.ts fills; until then it shows its source. */
function mathToken(name: string, level: 'block' | 'inline', start: RegExp, rules: RegExp[]): TokenizerAndRendererExtension {
  const tag = level === 'block' ? 'div' : 'span';
  return {
    name,
    level,
    start: (source) => start.exec(source)?.index,
    tokenizer(source) {
      const match = rules.map((rule) => rule.exec(source)).find(Boolean);
      return match ? { type: name, raw: match[0], text: match[1] ?? '' } : undefined;
    },
    renderer: (token) => `<${tag} data-math="${level}">${escapeHtml(String(token['text']))}</${tag}>`,
  };
}

// A dollar sign is money unless both of them hug what stands between and no digit follows.
const INLINE_MATH = [/^\$(?!\s|\$)((?:\\.|[^\\$\n])+?)(?<![\s\\])\$(?!\d)/, /^\\\(((?:.|\n)+?)\\\)/, /^\$\$([^$\n]+?)\$\$/];
const BLOCK_MATH = [/^ {0,3}\$\$\s*((?:[^$]|\\\$)+?)\s*\$\$(?:\n|$)/, /^ {0,3}\\\[\s*([\s\S]+?)\s*\\\](?:\n|$)/];

const citation: TokenizerAndRendererExtension = {
  name: 'cite',
  level: 'inline',
  start: (source) => /\[\d/.exec(source)?.index,
  tokenizer(source) {
    const match = /^\[(\d{1,2})\](?![([:])/.exec(source);
    return match ? { type: 'cite', raw: match[0], text: match[1] ?? '' } : undefined;
  },
  renderer: (token) => `<span data-cite="${String(token['text'])}">[${String(token['text'])}]</span>`,
};

const marked = new Marked({
  gfm: true,
  extensions: [
    mathToken('mathBlock', 'block', /\$\$|\\\[/, BLOCK_MATH),
    mathToken('mathInline', 'inline', /\$|\\\(/, INLINE_MATH),
    citation,
  ],
  renderer: {
    code: ({ text, lang }) => `<pre data-lang="${escapeHtml(lang ?? '')}">${escapeHtml(text)}</pre>`,
  },
});

export type Links = Record<string, Pick<Tokens.Link | Tokens.Image, 'href' | 'title'>>;

/** Tokens of a piece of a longer text; `links` are the definitions that stood before it. */
export function tokens(source: string, links: Links): Token[] {
  const lexer = new Lexer(marked.defaults);
  Object.assign(lexer.tokens.links, links);
  return lexer.lex(source);
}

export function html(found: Token[]): string {
  return marked.parser(found);
}
