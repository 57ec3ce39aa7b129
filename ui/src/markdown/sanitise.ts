/** What a model may put into the page: words, tables and links; nothing that runs, loads, or looks like ours. */
import createDOMPurify from 'dompurify';
import { TAGS } from './tags.ts';

// No class, id or style: text must not be able to dress up as a part of the page, or lie over it.
const ATTRIBUTES = ['align', 'alt', 'checked', 'colspan', 'data-cite', 'data-lang', 'data-math', 'data-note', 'data-note-text', 'disabled', 'href', 'open', 'rowspan',
  'src', 'start', 'title', 'type'];

const purify = createDOMPurify(window);

/** Only a task list's own box: disabled, and nothing to type into. */
function tame(node: Element): void {
  if (node.nodeName !== 'INPUT') return;
  if (node.getAttribute('type') !== 'checkbox') node.remove();
  else node.setAttribute('disabled', '');
}

purify.addHook('afterSanitizeAttributes', tame);

export function sanitised(html: string): DocumentFragment {
  return purify.sanitize(html, {
    ALLOWED_TAGS: [...TAGS, 'input'],
    ALLOWED_ATTR: ATTRIBUTES,
    // Every other attribute is no address, so the rule for addresses must not judge its value.
    ADD_URI_SAFE_ATTR: ATTRIBUTES.filter((name) => name !== 'href' && name !== 'src'),
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i,
    RETURN_DOM_FRAGMENT: true,
  });
}
