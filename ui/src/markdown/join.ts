/** How a paragraph, list or table in the page goes on with its next piece. */

/** From this many rows on a table keeps its columns: to weigh all of its cells again with each row is what makes long ones slow. */
const STEADY_ROWS = 40;
/** Rows that are out of sight together. */
const BODY_ROWS = 48;

/** What can be gone on with; a table stands in a frame that scrolls. */
const open = (element: Element | null | undefined): Element | null =>
  (element?.matches('.scroll') ? element.firstElementChild : element) ?? null;

/** From now on each row is a grid of these columns, so that only rows in sight need be laid out. */
function steady(table: HTMLTableElement): void {
  if (table.classList.contains('steady')) return;
  const widths = [...(table.rows[0]?.cells ?? [])].map((cell) => cell.offsetWidth);
  table.style.setProperty('--columns', widths.map((width) => `minmax(${width}px, ${width}fr)`).join(' '));
  table.classList.add('steady');
}

function joinRows(table: HTMLTableElement, more: HTMLTableElement): ChildNode[] {
  const rows = [...(more.tBodies[0]?.rows ?? [])];
  for (const row of rows) {
    const body = [...table.tBodies].at(-1);
    (body && body.rows.length < BODY_ROWS ? body : table.createTBody()).append(row);
  }
  if (table.rows.length > STEADY_ROWS) steady(table);
  return rows;
}

/** What of `piece` would move. */
export function pieces(piece: Element | null): ChildNode[] {
  const more = open(piece);
  if (more instanceof HTMLTableElement) return [...(more.tBodies[0]?.rows ?? [])];
  return [...(more?.childNodes ?? [])];
}

/** Moves what stands in `piece` to the end of `block`, and gives the nodes that were moved; null if they are not of a kind. */
export function join(block: Element | null | undefined, piece: Element | null): ChildNode[] | null {
  const [target, more] = [open(block), open(piece)];
  if (!target || !more || target.tagName !== more.tagName) return null;
  if (target instanceof HTMLTableElement) return joinRows(target, more as HTMLTableElement);
  const nodes = [...more.childNodes];
  target.append(...nodes);
  return nodes;
}
