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
  frame.append(node);
};

/** Code inside a list or a quote. While that grows it is painted anew each time, so it stays without colours until then. */
const code: Step = (node, growing) => {
  const view = new CodeView(!growing);
  view.update(node.textContent ?? '', node.dataset['lang'] ?? '', true);
  node.replaceWith(view.element);
};

const task: Step = (node) => node.closest('li')?.classList.add('task');

const STEPS: [selector: string, step: Step][] = [
  ['img', image],
  ['a[href]', link],
  ['pre', code],
  ['input', task],
  ['table', table],
  ['[data-math]', renderMath],
];

export function enhance(fragment: DocumentFragment, growing: boolean): DocumentFragment {
  for (const [selector, step] of STEPS) {
    for (const node of fragment.querySelectorAll<HTMLElement>(selector)) step(node, growing);
  }
  return fragment;
}
