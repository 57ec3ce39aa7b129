/** A block of code in the page: a line is an element, so that a growing block only touches its last ones. */
import { copied } from '../lib/copy.ts';
import { save } from '../lib/save.ts';
import { strings } from '../strings.ts';
import { highlighter } from './highlighter.ts';
import { nextId } from './remote.ts';

/** Colouring a growing block may take this share of the worker's time. */
const SHARE = 0.25;
const LONGEST_REST_MS = 400;

function element(tag: string, className: string, text = ''): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** How files of a language end, where that is not its name. */
const ENDINGS: Record<string, string> = {
  python: 'py', javascript: 'js', typescript: 'ts', bash: 'sh', shell: 'sh', rust: 'rs', ruby: 'rb', markdown: 'md', csharp: 'cs', kotlin: 'kt', yaml: 'yml', plaintext: 'txt', text: 'txt',
};

function tool(label: string): HTMLButtonElement {
  const button = element('button', 'copy', label) as HTMLButtonElement;
  button.type = 'button';
  return button;
}

export class CodeView {
  readonly element = element('figure', 'code');
  readonly #code = document.createElement('code');
  readonly #id = nextId();
  readonly #caption = element('span', 'language');
  #language = '';
  #preview: HTMLElement | null = null;
  #diagram = false;
  #source = '';
  #lastLine = 0;
  #final = false;
  #busy = false;
  #stale = false;

  constructor(readonly coloured = true) {
    const caption = document.createElement('figcaption');
    caption.append(this.#caption, this.#toggle('wrap', strings.answer.wrap), this.#toggle('fold', strings.answer.fold), this.#saveButton(), this.#copyButton());
    const pre = document.createElement('pre');
    pre.tabIndex = 0;
    pre.append(this.#code);
    this.element.append(caption, pre);
  }

  /** `info` is what stands behind the opening fence: it grows as well. */
  update(source: string, info: string, final: boolean): void {
    this.#language = info.trim().split(/[\s{:,]/)[0]?.toLowerCase() ?? '';
    this.#caption.textContent = this.#language || strings.answer.code;
    if (!source.startsWith(this.#source)) this.#clear();
    if (source !== this.#source || final !== this.#final) this.#stale = true;
    this.#grow(source);
    this.#final = final;
    if (final && ['html', 'svg'].includes(this.#language) && !this.#preview) {
      this.#preview = this.#previewButton();
      this.#caption.after(this.#preview);
    }
    if (final && this.coloured && this.#language === 'mermaid' && !this.#diagram) this.#draw();
    if (this.coloured && this.#language && !this.#busy && this.#stale) void this.#colour();
  }

  #clear(): void {
    this.#code.replaceChildren();
    this.#source = '';
    this.#lastLine = 0;
  }

  /** Rewrites the last line and appends what came after it. */
  #grow(source: string): void {
    const fresh = source.slice(this.#lastLine).split('\n');
    const known = this.#code.lastElementChild;
    if (known && fresh.length === 1 && source === this.#source) return;
    known?.remove();
    this.#code.append(...fresh.map((line, index) => element('span', 'line', index < fresh.length - 1 ? `${line}\n` : line)));
    this.#lastLine = source.lastIndexOf('\n') + 1;
    this.#source = source;
  }

  async #colour(): Promise<void> {
    this.#busy = true;
    this.#stale = false;
    const began = performance.now();
    const { from, lines } = await highlighter.ask({ id: this.#id, code: this.#source, language: this.#language, final: this.#final });
    this.#paint(from, lines);
    const cost = performance.now() - began;
    setTimeout(() => {
      this.#busy = false;
      if (this.#stale) void this.#colour();
    }, this.#final ? 0 : Math.min(cost / SHARE, LONGEST_REST_MS));
  }

  /** If the text has grown meanwhile, the last line that was sent may be half of what it is now. The HTML is escaped source and spans. */
  #paint(from: number, lines: string[]): void {
    const nodes = this.#code.children;
    const whole = this.#stale ? lines.slice(0, -1) : lines;
    whole.forEach((html, index) => {
      const node = nodes[from + index];
      if (node) node.innerHTML = from + index < nodes.length - 1 ? `${html}\n` : html;
    });
  }

  /** A button that turns a class of the block on and off. */
  #toggle(name: 'wrap' | 'fold', label: string): HTMLElement {
    const button = tool(label);
    button.setAttribute('aria-pressed', 'false');
    button.classList.add('toggle');
    button.addEventListener('click', () => button.setAttribute('aria-pressed', String(this.element.classList.toggle(name))));
    return button;
  }

  /** While it streams, its source is shown. */
  #draw(): void {
    this.#diagram = true;
    void import('./diagram-view.ts').then(({ DiagramView }) => new DiagramView(this.element, this.#source), () => undefined);
  }

  /** Only of what can be shown, and only when it is whole. */
  #previewButton(): HTMLElement {
    const button = tool(strings.answer.preview);
    button.setAttribute('aria-pressed', 'false');
    button.addEventListener('click', () => {
      const shown = this.element.querySelector('.preview');
      shown?.remove();
      if (!shown) void import('./preview.ts').then(({ preview }) => this.element.append(preview(this.#source)));
      button.setAttribute('aria-pressed', String(!shown));
    });
    return button;
  }

  #saveButton(): HTMLElement {
    const button = tool(strings.answer.download);
    button.addEventListener('click', () => save(new Blob([this.#source], { type: 'text/plain' }), `code.${ENDINGS[this.#language] ?? (/^[a-z0-9]{1,8}$/.test(this.#language) ? this.#language : 'txt')}`));
    return button;
  }

  #copyButton(): HTMLElement {
    const button = tool(strings.actions.copy);
    button.addEventListener('click', () => {
      void copied(this.#source).then((done) => {
        button.textContent = done ? strings.actions.copied : strings.actions.notCopied;
        setTimeout(() => (button.textContent = strings.actions.copy), done ? 1500 : 6000);
      });
    });
    return button;
  }
}
