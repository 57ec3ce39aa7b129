/** Chats as HTML that needs nothing else: no script, no style from elsewhere, nothing to load. */
import { html, tokens } from '../markdown/parser.ts';
import { sanitised } from '../markdown/sanitise.ts';
import { strings } from '../strings.ts';
import { words } from './content.ts';
import { modelOf } from './truth.ts';
import { Tree } from './tree.ts';
import type { Message, Thread } from './types.ts';

const STYLE = `
:root { color-scheme: light dark; }
body { max-width: 46rem; margin: 0 auto; padding: 2rem 1rem 4rem; font: 1rem/1.65 system-ui, sans-serif; background: light-dark(#fff, #131615); color: light-dark(#18201d, #e4eae7); overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } section { margin-top: 2rem; } section > h2 { font-size: 0.85rem; opacity: 0.7; }
section.user { padding: 0.5rem 1rem; border-radius: 1rem; background: light-dark(#e6ece9, #232a27); white-space: pre-wrap; } section.user h2 { margin: 0; }
pre { overflow-x: auto; padding: 1rem; border: 1px solid #8884; border-radius: 0.5rem; white-space: pre; } code { font-family: ui-monospace, monospace; font-size: 0.9em; }
table { border-collapse: collapse; display: block; overflow-x: auto; } th, td { padding: 0.3rem 0.7rem; border: 1px solid #8884; text-align: start; } blockquote { margin-inline: 0; padding-inline-start: 1rem; border-inline-start: 3px solid #8886; } img { max-width: 100%; }
`;

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** An answer's Markdown as plain HTML: sanitised, images that would be loaded named instead, formulas as they were written. */
export function plainHtml(text: string): string {
  const fragment = sanitised(html(tokens(text.replaceAll('\r\n', '\n'), {})));
  for (const image of fragment.querySelectorAll('img')) if (!/^data:/.test(image.src)) image.replaceWith(strings.answer.remoteImage(image.alt, image.getAttribute('src') ?? ''));
  for (const formula of fragment.querySelectorAll<HTMLElement>('[data-math]')) formula.replaceWith(formula.textContent ?? '');
  for (const link of fragment.querySelectorAll('a')) link.rel = 'noopener noreferrer nofollow';
  for (const node of fragment.querySelectorAll('[data-lang]')) node.removeAttribute('data-lang');
  const host = document.createElement('div');
  host.append(fragment);
  return host.innerHTML;
}

function section(message: Message): string {
  if (message.role === 'user') return `<section class="user"><h2>${escaped(strings.answer.you)}</h2>${escaped(words(message.content))}</section>`;
  const note = message.state === 'complete' ? '' : ` (${escaped(message.state)})`;
  return `<section><h2>${escaped(modelOf(message))}${note}</h2>${plainHtml(String(message.content ?? ''))}</section>`;
}

/** The branch that the thread shows. */
export function asHtml(thread: Thread, messages: Message[]): string {
  const tree = new Tree();
  for (const one of messages) tree.set(one);
  const branch = tree.path(thread.head).flatMap((id) => messages.find((one) => one.id === id) ?? []);
  const title = escaped(thread.title ?? strings.threads.untitled);
  const policy = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'; img-src data:">';
  return `<!doctype html>\n<html><head><meta charset="utf-8">${policy}<meta name="viewport" content="width=device-width"><title>${title}</title><style>${STYLE}</style></head>\n<body><h1>${title}</h1>\n${branch.map(section).join('\n')}\n</body></html>\n`;
}
