/** The list of prompts that a slash opens in the place to write. */
import { tick } from 'svelte';
import { blanks, found, wanted, type Prompt } from '../lib/prompts.ts';
import { composer } from './composer.svelte.ts';
import { settings } from './settings.svelte.ts';
import { view } from './view.svelte.ts';

class Prompts {
  at = $state(0);
  /** The text for which the list was closed. */
  #closed = $state<string | null>(null);
  /** One whose blanks are being filled. */
  filling = $state.raw<Prompt | null>(null);

  readonly #query = $derived(wanted(composer.text));
  readonly list = $derived(this.#query === null ? [] : found(settings.prompts, this.#query));
  readonly open = $derived(this.#query !== null && composer.text !== this.#closed && (this.list.length > 0 || settings.prompts.length === 0));
  readonly current = $derived(this.list[Math.min(this.at, this.list.length - 1)]);

  close(): void {
    this.#closed = composer.text;
    this.at = 0;
  }

  pick(prompt: Prompt | undefined = this.current): void {
    if (!prompt) return;
    this.at = 0;
    if (blanks(prompt.text).length) this.filling = prompt;
    else this.write(prompt.text);
  }

  write(text: string): void {
    this.filling = null;
    composer.write(text);
    this.#back();
  }

  leave(): void {
    this.filling = null;
    this.#back();
  }

  /** Behind an open dialog nothing takes the focus. */
  #back(): void {
    void tick().then(() => view.focusComposer());
  }

  /** Whether the key was for the list. */
  takes(event: KeyboardEvent): boolean {
    if (!this.open) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) this.at = (this.at + step + this.list.length) % Math.max(1, this.list.length);
    else if ((event.key === 'Enter' || event.key === 'Tab') && this.current) this.pick();
    else if (event.key === 'Escape') this.close();
    else return false;
    return true;
  }
}

export const prompts = new Prompts();
