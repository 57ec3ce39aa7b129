/** What is being written: text and attachments, kept for each chat until the gateway has taken them. */
import { attachment, Unfit, type Attachment } from '../lib/attachments.ts';
import { joined } from '../lib/content.ts';
import type { Input } from '../lib/types.ts';
import { strings } from '../strings.ts';
import { conversation } from './conversation.svelte.ts';
import { gateway } from './gateway.svelte.ts';
import { notices } from './notices.svelte.ts';
import { place } from './route.svelte.ts';

const draftName = (): string => `llmproxy.draft.${place.thread ?? 'new'}`;

class Composer {
  text = $state('');
  attachments = $state.raw<Attachment[]>([]);
  /** The model that answers beside the chosen one; null is none. */
  second = $state<string | null>(null);

  /** Kinds of attachment that the chosen models cannot take, and the first of these models. */
  readonly unfit = $derived.by(() => {
    const kinds = [...new Set(this.attachments.map(({ needs }) => needs))];
    const models = [conversation.model, this.second].filter((id): id is string => id !== null);
    const model = models.find((id) => kinds.some((kind) => !gateway.takes(id, kind)));
    if (!model) return null;
    return { model, kinds: kinds.filter((kind) => !gateway.takes(model, kind)), able: gateway.able(kinds as Input[]) };
  });

  readonly empty = $derived(this.text.trim() === '' && this.attachments.length === 0);
  readonly ready = $derived(!this.empty && !this.unfit && gateway.online);

  restore(): void {
    this.attachments = [];
    this.text = sessionStorage.getItem(draftName()) ?? '';
  }

  write(text: string): void {
    this.text = text;
    if (text) sessionStorage.setItem(draftName(), text);
    else sessionStorage.removeItem(draftName());
  }

  async attach(files: Iterable<File>): Promise<void> {
    for (const file of files) {
      try {
        this.attachments = [...this.attachments, await attachment(file)];
      } catch (error) {
        if (!(error instanceof Unfit)) throw error;
        notices.say(error.message);
      }
    }
  }

  detach(id: number): void {
    this.attachments = this.attachments.filter((one) => one.id !== id);
  }

  /** Sends what is written; a question that could not even be put comes back into the field. */
  async send(): Promise<void> {
    if (!this.ready) return;
    const { text, attachments, second } = this;
    const content = joined(text.trim(), attachments.map(({ part }) => part));
    const draft = draftName();
    this.text = '';
    this.attachments = [];
    // Until the gateway has the question, a reload must find it.
    const taken = (): void => {
      if (sessionStorage.getItem(draft) === text) sessionStorage.removeItem(draft);
    };
    try {
      await conversation.ask(content, { second, taken });
    } catch {
      this.write(text);
      this.attachments = attachments;
    }
  }
}

export const composer = new Composer();
export const kindsInWords = (kinds: Input[]): string => kinds.map((kind) => strings.attachments.kinds[kind]).join(', ');
