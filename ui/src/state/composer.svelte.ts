/** What is being written: text and attachments, kept for each chat until the gateway has taken them. */
import { attachment, pdfAsText, renumbered, Unfit, type Attachment } from '../lib/attachments.ts';
import { joined } from '../lib/content.ts';
import { keep, kept, tidy } from '../lib/unsentAttachments.ts';
import type { Input } from '../lib/types.ts';
import { strings } from '../strings.ts';
import { hub } from './hub.svelte.ts';
import { gateway } from './gateway.svelte.ts';
import { problemOf } from './live.ts';
import { notices } from './notices.svelte.ts';
import { queue } from './queue.svelte.ts';
import { place } from './route.svelte.ts';

const draftName = (thread: string | null): string => `llmproxy.draft.${thread ?? 'new'}`;

/** The database is every tab's, a draft is one's own. */
function attachmentsKey(draft: string): string {
  const tab = sessionStorage.getItem('llmproxy.tab') ?? Math.random().toString(36).slice(2);
  sessionStorage.setItem('llmproxy.tab', tab);
  return `${tab} ${draft}`;
}

void tidy().catch(() => undefined);

/** Four answers are as many as one can read beside each other. */
export const MOST_OTHERS = 3;

class Composer {
  text = $state('');
  #draft = draftName(place.thread);
  /** The thread that the shown new chat has become. */
  #begun: string | null = null;
  attachments = $state.raw<Attachment[]>([]);
  /** The models that answer beside the chosen one. */
  others = $state.raw<string[]>([]);

  /** Kinds of attachment that the chosen models cannot take, and the first of these models. */
  readonly unfit = $derived.by(() => {
    const kinds = [...new Set(this.attachments.map(({ needs }) => needs))];
    const models = [hub.shown.model, ...this.others].filter((id): id is string => id !== null);
    const model = models.find((id) => kinds.some((kind) => !gateway.takes(id, kind)));
    if (!model) return null;
    return { model, kinds: kinds.filter((kind) => !gateway.takes(model, kind)), able: gateway.able(kinds as Input[]) };
  });

  readonly empty = $derived(this.text.trim() === '' && this.attachments.length === 0);
  readonly ready = $derived(!this.empty && !this.unfit);

  constructor() {
    hub.whenBegun((thread) => this.#carry(thread));
  }

  /** What has been written since the first question goes along into the thread that it began. */
  #carry(thread: string): void {
    const old = this.#draft;
    this.#draft = draftName(thread);
    this.#begun = thread;
    if (this.text) sessionStorage.removeItem(old);
    if (this.text) this.write(this.text);
    if (this.attachments.length === 0) return;
    void keep(attachmentsKey(old), []).catch(() => undefined);
    this.#keep();
  }

  /** Shows what was being written in a chat. */
  async restore(thread: string | null): Promise<void> {
    const begun = thread !== null && thread === this.#begun;
    this.#begun = null;
    if (begun) return;
    const draft = draftName(thread);
    this.#draft = draft;
    this.attachments = [];
    this.text = sessionStorage.getItem(draft) ?? '';
    const found = await kept(attachmentsKey(draft)).catch(() => []);
    if (this.#draft === draft && this.attachments.length === 0) this.attachments = found.map(renumbered);
  }

  write(text: string): void {
    this.text = text;
    if (text) sessionStorage.setItem(this.#draft, text);
    else sessionStorage.removeItem(this.#draft);
  }

  #keep(): void {
    keep(attachmentsKey(this.#draft), this.attachments).catch(() => notices.say(strings.attachments.unkept));
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
    this.#keep();
  }

  /** Makes the PDFs into their words. */
  async readPdfs(): Promise<void> {
    try {
      this.attachments = await Promise.all(this.attachments.map(pdfAsText));
      this.#keep();
    } catch (error) {
      if (!(error instanceof Unfit)) throw error;
      notices.say(error.message);
    }
  }

  detach(id: number): void {
    this.attachments = this.attachments.filter((one) => one.id !== id);
    this.#keep();
  }

  /** One more model to ask: any that is not asked yet. */
  compare(): void {
    const asked = [hub.shown.model, ...this.others];
    const next = gateway.models?.find(({ id }) => !asked.includes(id))?.id ?? hub.shown.model;
    if (next && this.others.length < MOST_OTHERS) this.others = [...this.others, next];
  }

  /** Sends what is written; a question that could not even be put comes back into the field. */
  async send(): Promise<void> {
    if (!this.ready) return;
    const { text, attachments, others } = this;
    const content = joined(text.trim(), attachments.map(({ part }) => part));
    const draft = this.#draft;
    this.text = '';
    this.attachments = [];
    if (hub.shown.running) {
      queue.add(content);
      this.write('');
      this.#keep();
      return;
    }
    // Until the gateway has the question, a reload must find it.
    const taken = (): void => {
      if (sessionStorage.getItem(draft) === text) sessionStorage.removeItem(draft);
      if (attachments.length) void keep(attachmentsKey(draft), []).catch(() => undefined);
    };
    try {
      await hub.shown.ask(content, { others, taken });
    } catch (error) {
      this.#giveBack({ draft, text, attachments }, error);
    }
  }

  /** What could not be asked comes back into its field. It has been kept for whoever is elsewhere by now, who is told. */
  #giveBack({ draft, text, attachments }: { draft: string; text: string; attachments: Attachment[] }, error: unknown): void {
    if (this.#draft !== draft) return notices.say(problemOf(error).message);
    if (this.text === text) return;
    this.write([text, this.text].filter((one) => one.trim()).join('\n\n'));
    this.attachments = [...attachments, ...this.attachments];
    this.#keep();
  }
}

export const composer = new Composer();
export const kindsInWords = (kinds: Input[]): string => kinds.map((kind) => strings.attachments.kinds[kind]).join(', ');
