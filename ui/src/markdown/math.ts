/** Formulas as MathML, which needs neither fonts nor inline styles; until it is there, their source is shown. */
import { nextId, Remote } from './remote.ts';

export interface Formula {
  id: number;
  source: string;
  display: boolean;
}

export interface Rendered {
  id: number;
  mathml: string | null;
}

/** Formulas remembered, so that a growing text shows them at once each time its tail is painted. */
const REMEMBERED = 500;

const remote = new Remote<Formula, Rendered>(() => new Worker(new URL('./math.worker.ts', import.meta.url), { type: 'module' }));
const known = new Map<string, string>();

function remember(name: string, mathml: string): void {
  const oldest = known.keys().next();
  if (known.size >= REMEMBERED && !oldest.done) known.delete(oldest.value);
  known.set(name, mathml);
}

export function renderMath(node: HTMLElement): void {
  const source = node.textContent ?? '';
  const display = node.dataset['math'] === 'block';
  const name = `${display}${source}`;
  const mathml = known.get(name);
  if (mathml !== undefined) show(node, mathml);
  else void ask(node, name, { id: nextId(), source, display });
}

/** KaTeX escapes what it shows, and without its `trust` makes neither links nor attributes of what a formula says. */
async function ask(node: HTMLElement, name: string, formula: Formula): Promise<void> {
  const { mathml } = await remote.ask(formula);
  if (mathml === null) return;
  remember(name, mathml);
  show(node, mathml);
}

function show(node: HTMLElement, mathml: string): void {
  node.innerHTML = mathml;
  node.querySelectorAll('mtable[columnalign]').forEach(align);
}

/** MathML Core leaves the columns of a table to CSS. In Chromium a formula knows no right, but one in a cell from right to left begins there. */
function align(table: Element): void {
  const sides = (table.getAttribute('columnalign') ?? '').split(' ');
  const gaps = (table.getAttribute('columnspacing') ?? '').split(' ');
  for (const row of table.querySelectorAll(':scope > mtr')) {
    // Around the cells of a numbered row stand others, for its number.
    [...row.children].filter((cell) => !cell.matches('.mtr-glue, .mml-eqn-num')).forEach((cell, index) => {
      const { style } = cell as HTMLElement;
      if (gaps[Math.min(index, gaps.length - 1)] === '0em') style.paddingInline = '0';
      const side = sides[Math.min(index, sides.length - 1)];
      style.textAlign = side === 'center' ? 'center' : 'start';
      if (side !== 'right') return;
      style.direction = 'rtl';
      for (const inside of cell.children) (inside as HTMLElement).style.direction = 'ltr';
    });
  }
}
