/** What sanitised HTML becomes in our page: safe links, images behind a click, code, math, tables that scroll. */
import { strings } from '../strings.ts';
import { CodeView } from './code.ts';
import { renderMath } from './math.ts';

type Step = (node: HTMLElement, growing: boolean) => void;

const link: Step = (node) => {
  node.setAttribute('target', '_blank');
  node.setAttribute('rel', 'noopener noreferrer nofollow');
};

/** A remote image tells its server that it was seen, so it is only loaded by whoever opens it on purpose. */
const image: Step = (node) => {
  const source = node.getAttribute('src') ?? '';
  if (/^data:image\/(png|jpeg|webp|gif|avif)[;,]/i.test(source)) return;
  const anchor = document.createElement('a');
  anchor.className = 'remote-image';
  if (source) anchor.href = source;
  anchor.textContent = strings.answer.remoteImage(node.getAttribute('alt') ?? '', source);
  link(anchor, false);
  node.replaceWith(anchor);
};

const table: Step = (node) => {
  const frame = document.createElement('div');
  frame.className = 'scroll';
  frame.tabIndex = 0;
  frame.setAttribute('role', 'region');
  frame.setAttribute('aria-label', strings.answer.table);
  node.replaceWith(frame);
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'csv';
  button.textContent = strings.answer.csv;
  frame.append(node, button);
};

/** Code inside a list or a quote. While that grows it is painted anew each time, so it stays without colours until then. */
const code: Step = (node, growing) => {
  const view = new CodeView(!growing);
  view.update(node.textContent ?? '', node.dataset['lang'] ?? '', true);
  node.replaceWith(view.element);
};

const task: Step = (node) => {
  const item = node.closest('li');
  item?.classList.add('task');
  node.setAttribute('aria-label', item?.textContent.trim().split('\n')[0] || strings.answer.task);
};

/** `> [!NOTE]`, as GitHub writes it. */
const alert: Step = (node) => {
  const first = node.querySelector('p')?.firstChild;
  const kind = /^\[!(note|tip|important|warning|caution)\]\s*/i.exec(first?.nodeValue ?? '');
  if (!first || !kind?.[1]) return;
  first.nodeValue = (first.nodeValue ?? '').slice(kind[0].length);
  if (!first.nodeValue && first.nextSibling?.nodeName === 'BR') first.nextSibling.remove();
  const title = document.createElement('p');
  title.className = 'alert-title';
  title.textContent = strings.answer.alerts[kind[1].toLowerCase()] ?? kind[1];
  node.className = `alert ${kind[1].toLowerCase()}`;
  node.prepend(title);
};

const note: Step = (node) => {
  const button = document.createElement('button');
  button.type = 'button';
  button.dataset['note'] = node.dataset['note'];
  button.textContent = node.textContent;
  button.setAttribute('aria-label', strings.answer.note(node.textContent));
  node.removeAttribute('data-note');
  node.replaceChildren(button);
};

const noteText: Step = (node) => {
  node.tabIndex = -1;
  node.classList.add('note');
};

/** Every block runs in the direction of its own words; what is inside a list, a quote or a table runs as that does. */
const direction: Step = (node) => {
  if (node.matches(TOGETHER) || !node.parentElement?.closest(TOGETHER)) node.setAttribute('dir', 'auto');
};
const TOGETHER = 'ul, ol, blockquote, table, dl';

const STEPS: [selector: string, step: Step][] = [
  ['img', image],
  ['a[href]', link],
  ['pre', code],
  ['input', task],
  ['table', table],
  ['[data-math]', renderMath],
  ['blockquote', alert],
  ['[data-note]', note],
  ['[data-note-text]', noteText],
  ['p, h1, h2, h3, h4, h5, h6, ul, ol, blockquote, table, summary, dl, .note', direction],
];

export function enhance(fragment: DocumentFragment, growing: boolean): DocumentFragment {
  for (const [selector, step] of STEPS) {
    for (const node of fragment.querySelectorAll<HTMLElement>(selector)) step(node, growing);
  }
  return fragment;
}
