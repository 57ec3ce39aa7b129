/** Nodes in the page made into newer ones, touching only what differs: a selection in what stays is not lost. */

/** What has a life of its own is kept or exchanged, but never changed from outside. */
const WHOLE = '.code, [data-math]';

const isElement = (node: Node): node is Element => node.nodeType === Node.ELEMENT_NODE;

function alike(old: Node, fresh: Node): boolean {
  if (old.nodeName !== fresh.nodeName) return false;
  return !isElement(old) || (!old.matches(WHOLE) && !(fresh as Element).matches(WHOLE));
}

/** Ranges in what stays of a text are kept, since only its end is written. */
function retext(old: CharacterData, next: string): void {
  const { data } = old;
  let same = 0;
  while (same < data.length && data[same] === next[same]) same++;
  if (same < data.length) old.deleteData(same, data.length - same);
  if (same < next.length) old.appendData(next.slice(same));
}

function reattribute(old: Element, fresh: Element): void {
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  // Whether something is unfolded is for its reader to say.
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== 'open') old.removeAttribute(name);
}

/** Gives the node that stands in the page afterwards. */
function morph(old: ChildNode, fresh: ChildNode): ChildNode {
  const same = old.isEqualNode(fresh);
  if (!same && !alike(old, fresh)) {
    old.replaceWith(fresh);
    return fresh;
  }
  fresh.remove();
  if (same) return old;
  if (isElement(old)) become(old, fresh as unknown as Element);
  else retext(old as unknown as CharacterData, (fresh as CharacterData).data);
  return old;
}

function become(old: Element, fresh: Element): void {
  reattribute(old, fresh);
  reuse([...old.childNodes], [...fresh.childNodes]);
  old.append(...fresh.childNodes);
}

/** Makes the old nodes into the first of the fresh ones, and removes what is too much. Those that are still needed stay where they are. */
export function reuse(old: ChildNode[], fresh: ChildNode[]): ChildNode[] {
  const kept = fresh.slice(0, old.length).map((node, index) => morph(old[index] as ChildNode, node));
  for (const node of old.slice(fresh.length)) node.remove();
  return kept;
}
