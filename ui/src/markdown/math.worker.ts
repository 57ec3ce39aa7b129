/** Formulas to MathML away from the page's thread: KaTeX alone takes longer to load than a frame may last. */
import katex from 'katex';
import 'katex/contrib/mhchem';
import type { Formula, Rendered } from './math.ts';

/** A formula that is not understood stays as its source. */
function rendered({ id, source, display }: Formula): Rendered {
  const options = { output: 'mathml', displayMode: display, throwOnError: true, trust: false, strict: 'ignore', maxExpand: 200, maxSize: 20 } as const;
  try {
    return { id, mathml: katex.renderToString(source, options) };
  } catch {
    return { id, mathml: null };
  }
}

self.addEventListener('message', ({ data }: MessageEvent<Formula>) => self.postMessage(rendered(data)));
