/** A diagram above its source: drawn when it is first in sight, and again in the colours of another theme. */
import { copied } from '../lib/copy.ts';
import { save } from '../lib/save.ts';
import { strings } from '../strings.ts';
import { address, drawing, png, type Drawing } from './diagram.ts';

const system = matchMedia('(prefers-color-scheme: dark)');
const isDark = (): boolean => (['light', 'dark'].includes(document.documentElement.dataset['theme'] ?? '') ? document.documentElement.dataset['theme'] === 'dark' : system.matches);
const views = new WeakMap<Element, DiagramView>();
const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) views.get(target)?.see();
}, { rootMargin: '200px' });

function redraw(): void {
  for (const one of document.querySelectorAll('figure.diagram')) views.get(one)?.recolour();
}
system.addEventListener('change', redraw);
new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ['data-theme'] });

function button(label: string, click: (button: HTMLButtonElement) => void): HTMLButtonElement {
  const made = document.createElement('button');
  made.type = 'button';
  made.className = 'copy';
  made.textContent = label;
  made.addEventListener('click', () => click(made));
  return made;
}

function told(made: HTMLButtonElement, words: string, label: string): void {
  made.textContent = words;
  setTimeout(() => (made.textContent = label), 1500);
}

export class DiagramView {
  readonly #image = document.createElement('img');
  readonly #frame = document.createElement('div');
  readonly #said = document.createElement('p');
  #drawn: Drawing | null = null;
  #dark: boolean | null = null;
  #tools: HTMLElement[] = [];

  constructor(readonly figure: HTMLElement, readonly source: string) {
    this.#image.alt = strings.answer.diagram;
    this.#frame.className = 'drawn';
    this.#frame.tabIndex = 0;
    this.#frame.setAttribute('role', 'region');
    this.#frame.setAttribute('aria-label', strings.answer.diagram);
    this.#frame.append(this.#image);
    this.#said.className = 'undrawn';
    this.#said.setAttribute('role', 'status');
    figure.classList.add('diagram');
    views.set(figure, this);
    seen.observe(figure);
  }

  see(): void {
    seen.unobserve(this.figure);
    if (this.#dark === null) void this.#draw();
  }

  recolour(): void {
    if (this.#drawn && this.#dark !== isDark()) void this.#draw();
  }

  async #draw(): Promise<void> {
    const dark = (this.#dark = isDark());
    try {
      const drawn = await drawing(this.source, dark);
      if (dark === this.#dark) this.#show(drawn);
    } catch (error) {
      this.#said.textContent = strings.answer.diagramFailed((error as Error).message);
      this.figure.querySelector('figcaption')?.after(this.#said);
    }
  }

  #show(drawn: Drawing): void {
    this.#image.src = address(drawn.svg);
    this.#image.width = drawn.width;
    this.#image.height = drawn.height;
    if (!this.#drawn) {
      this.figure.querySelector('figcaption')?.after(this.#frame);
      this.figure.classList.add('shown');
      this.#tools = [this.#sourceButton(), button(strings.answer.copySvg, (made) => void this.#copySvg(made)), button(strings.answer.copyPng, (made) => void this.#copyPng(made))];
      this.figure.querySelector('.language')?.after(...this.#tools);
    }
    this.#drawn = drawn;
  }

  #sourceButton(): HTMLElement {
    const made = button(strings.answer.diagramSource, () => made.setAttribute('aria-pressed', String(!this.figure.classList.toggle('shown'))));
    made.setAttribute('aria-pressed', 'false');
    return made;
  }

  async #copySvg(made: HTMLButtonElement): Promise<void> {
    const done = await copied(this.#drawn?.svg ?? '');
    told(made, done ? strings.actions.copied : strings.actions.notCopied, strings.answer.copySvg);
  }

  /** Where pictures cannot be copied (plain http) it becomes a file. */
  async #copyPng(made: HTMLButtonElement): Promise<void> {
    if (!this.#drawn) return;
    const picture = png(this.#drawn, getComputedStyle(this.figure).backgroundColor);
    try {
      await navigator.clipboard.write([new ClipboardItem({ 'image/png': picture })]);
      told(made, strings.actions.copied, strings.answer.copyPng);
    } catch {
      await picture.then((blob) => save(blob, 'diagram.png'), () => told(made, strings.actions.notCopied, strings.answer.copyPng));
    }
  }
}
