/** Chats as HTML that needs nothing else: no script, no style from elsewhere, nothing to load. */
import { html, tokens } from '../markdown/parser.ts';
import { sanitised } from '../markdown/sanitise.ts';
import { strings } from '../strings.ts';
import { asFile, attached, words } from './content.ts';
import { size } from './format.ts';
import { partsOf } from './parts.ts';
import { soundUrl } from './sound.ts';
import { modelOf } from './truth.ts';
import { Tree } from './tree.ts';
import type { AnswerPart, Message, Part, Thread } from './types.ts';

const STYLE = `
:root { color-scheme: light dark; }
body { max-width: 46rem; margin: 0 auto; padding: 2rem 1rem 4rem; font: 1rem/1.65 system-ui, sans-serif; background: light-dark(#fff, #131615); color: light-dark(#18201d, #e4eae7); overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } section { margin-top: 2rem; } section > h2 { font-size: 0.85rem; opacity: 0.7; }
section.user { padding: 0.5rem 1rem; border-radius: 1rem; background: light-dark(#e6ece9, #232a27); white-space: pre-wrap; } section.user h2 { margin: 0; }
pre { overflow-x: auto; padding: 1rem; border: 1px solid #8884; border-radius: 0.5rem; white-space: pre; } code { font-family: ui-monospace, monospace; font-size: 0.9em; }
table { border-collapse: collapse; display: block; overflow-x: auto; } th, td { padding: 0.3rem 0.7rem; border: 1px solid #8884; text-align: start; } blockquote { margin-inline: 0; padding-inline-start: 1rem; border-inline-start: 3px solid #8886; } img { display: block; max-width: 100%; } audio { display: block; }
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

/** A picture that is in the chat itself; of any other only the address, as the page shows it. */
function picture(url: string, name: string): string {
  return /^data:image\/[\w.+-]+[;,]/.test(url) ? `<p><img src="${escaped(url)}" alt="${escaped(name)}"></p>` : `<p>${escaped(strings.answer.remoteImage('', url))}</p>`;
}

const sound = (url: string): string => `<p><audio controls src="${escaped(url)}"></audio></p>`;

function attachment(part: Part): string {
  const file = asFile(part);
  if (file) return `<details><summary>${escaped(file.name)}</summary><pre>${escaped(file.text)}</pre></details>`;
  if (part.type === 'image_url') return picture(part.image_url.url, strings.attachments.image);
  if (part.type === 'input_audio') return sound(`data:audio/${part.input_audio.format};base64,${part.input_audio.data}`);
  if (part.type === 'file') return `<p><a download="${escaped(part.file.filename)}" href="${escaped(part.file.file_data)}">${escaped(part.file.filename)}</a></p>`;
  return '';
}

function answerPart(part: AnswerPart): string {
  if (part.type === 'text') return plainHtml(part.text);
  const left = 'omitted' in part && part.omitted ? `<p>${escaped(strings.answer.omitted(size(part.omitted)))}</p>` : '';
  if (part.type === 'image') return (part.url ? picture(part.url, strings.answer.image) : '') + left;
  if (part.type === 'audio') return (part.data.length ? sound(soundUrl(part.data)) : '') + `<p>${escaped(part.transcript)}</p>` + left;
  return '';
}

function section(message: Message): string {
  if (message.role === 'user') {
    return `<section class="user" dir="auto"><h2>${escaped(strings.answer.you)}</h2>${escaped(words(message.content))}${attached(message.content).map(attachment).join('')}</section>`;
  }
  const note = message.state === 'complete' ? '' : ` (${escaped(message.state)})`;
  return `<section dir="auto"><h2>${escaped(modelOf(message))}${note}</h2>${partsOf(message).map(answerPart).join('\n')}</section>`;
}

/** The branch that the thread shows. */
export function asHtml(thread: Thread, messages: Message[]): string {
  const tree = new Tree();
  for (const one of messages) tree.set(one);
  const branch = tree.path(thread.head).flatMap((id) => messages.find((one) => one.id === id) ?? []);
  const title = escaped(thread.title ?? strings.threads.untitled);
  const policy = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'; img-src data:; media-src data:">';
  return `<!doctype html>\n<html><head><meta charset="utf-8">${policy}<meta name="viewport" content="width=device-width"><title>${title}</title><style>${STYLE}</style></head>\n<body><h1 dir="auto">${title}</h1>\n${branch.map(section).join('\n')}\n</body></html>\n`;
}
