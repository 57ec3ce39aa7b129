/** Formulas as MathML, which needs neither fonts nor inline styles; KaTeX is loaded with the first one. */

type Katex = typeof import('katex').default;

let katex: Katex | undefined;
let loading: Promise<unknown> | undefined;

function load(): Promise<unknown> {
  loading ??= import('katex').then((module) => (katex = module.default));
  return loading;
}

/** Replaces the source in a placeholder; a formula that is not understood stays as its source. */
export function renderMath(node: HTMLElement): void {
  if (katex) fill(node, katex);
  else void load().then(() => katex && fill(node, katex));
}

function fill(node: HTMLElement, { render }: Katex): void {
  const source = node.textContent ?? '';
  const displayMode = node.dataset['math'] === 'block';
  try {
    render(source, node, { output: 'mathml', displayMode, throwOnError: true, trust: false, strict: 'ignore', maxExpand: 200, maxSize: 20 });
  } catch {
    node.textContent = source;
  }
}
