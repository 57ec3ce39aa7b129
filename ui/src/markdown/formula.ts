/** Formulas in Markdown, and only what is one: a dollar sign may be money or a variable of a shell. */
import type { TokenizerAndRendererExtension } from 'marked';
import { escapeHtml } from './tags.ts';

// None of them may hold a backtick: code wins.
const INLINE = [/^\$(?!\s|\$)((?:\\.|[^\\$\n`])+?)(?<![\s\\])\$(?![\w{$])/, /^\\\(((?:[^`\n]|\n(?!\n))+?)\\\)/, /^\$\$([^$\n`]+?)\$\$/];
const ENVIRONMENT = '(?:align|alignat|aligned|equation|gather|gathered|multline|split|cases|array|[bBpvV]?matrix)\\*?';
const BLOCK = [
  /^ {0,3}\$\$\s*((?:[^$`]|\\\$)+?)\s*\$\$([.,;:]?)[ \t]*(?:\n|$)/,
  /^ {0,3}\\\[\s*([^`]+?)\s*\\\]([.,;:]?)[ \t]*(?:\n|$)/,
  new RegExp(`^ {0,3}(\\\\begin\\{(${ENVIRONMENT})\\}[^\`]+?\\\\end\\{\\2\\})[ \\t]*(?:\\n|$)`),
];

const SAID = /\\(?:text\w*|mbox|mathrm|operatorname)\{[^}]*\}/g;
const TWO_WORDS = /(?<![\\\p{L}])\p{L}{2,}[ ,.;:]+\p{L}{2,}/u;
const AMOUNT_AND_WORD = /^\d[\d.,]*(?:.*[^\p{L}\p{N}\\])?(?<!\\)\b\p{L}{2,}/u;

/** Whether what stands between two dollar signs could be meant as a formula. */
export function isFormula(source: string): boolean {
  const signs = source.replaceAll(SAID, '');
  return !TWO_WORDS.test(signs) && !AMOUNT_AND_WORD.test(signs);
}

function found(source: string, rules: RegExp[]): RegExpExecArray | undefined {
  const match = rules.map((rule) => rule.exec(source)).find((one) => one !== null);
  return match?.[0].startsWith('$') && !match[0].startsWith('$$') && !isFormula(match[1] ?? '') ? undefined : match;
}

/** A placeholder that math.ts fills; until then it shows its source. */
function extension(name: string, level: 'block' | 'inline', start: RegExp, rules: RegExp[]): TokenizerAndRendererExtension {
  const tag = level === 'block' ? 'div' : 'span';
  return {
    name,
    level,
    start: (source) => start.exec(source)?.index,
    tokenizer(source) {
      const match = found(source, rules);
      const sign = /^[.,;:]$/.test(match?.[2] ?? '') ? match?.[2] : '';
      return match ? { type: name, raw: match[0], text: `${match[1] ?? ''}${sign}` } : undefined;
    },
    renderer: (token) => `<${tag} data-math="${level}">${escapeHtml(String(token['text']))}</${tag}>`,
  };
}

export const formulas = [
  extension('mathBlock', 'block', /\$\$|\\\[|\\begin\{/, BLOCK),
  extension('mathInline', 'inline', /(?<![\w\\$])\$(?!\s)|\\\(/, INLINE),
];
