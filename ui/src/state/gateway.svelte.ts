/** What the gateway says about itself: its providers, its models, and whether it wants a key. */
import { api } from '../lib/api.ts';
import { whenLocked, whenReached } from '../lib/http.ts';
import { key } from '../lib/key.ts';
import type { Info, Input, Model } from '../lib/types.ts';
import { settings } from './settings.svelte.ts';

export const DEMO = 'demo/hello';
/** How often a gateway that is away is looked for. */
const LOOK_MS = 2000;

class Gateway {
  info = $state.raw<Info | null>(null);
  models = $state.raw<Model[] | null>(null);
  failed = $state(false);
  locked = $state(false);
  /** Whether it answered when it was asked last. What the browser thinks of the network says nothing: the gateway may run on this machine. */
  online = $state(true);
  /** How often a key was forgotten or changed: what was loaded with the one before is not shown any more. */
  visit = $state(0);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #back: () => void = () => undefined;

  constructor() {
    whenLocked(() => (this.locked = true));
    whenReached((reached) => this.#reached(reached));
    for (const name of ['online', 'offline']) addEventListener(name, () => void this.#look());
  }

  /** What to do when the gateway answers again. */
  whenBack(action: () => void): void {
    this.#back = action;
  }

  #reached(reached: boolean): void {
    if (this.online === reached) return;
    this.online = reached;
    if (!reached) this.#lookSoon();
    else if (this.info) this.#back();
    else void this.load().then(() => this.#back());
  }

  async #look(): Promise<void> {
    await api.alive().catch(() => undefined);
    if (!this.online) this.#lookSoon();
  }

  #lookSoon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(), LOOK_MS);
  }

  /** Forgets what was only for whoever has the key. */
  close(): void {
    this.info = this.models = null;
    this.visit += 1;
  }

  async load(): Promise<void> {
    this.failed = false;
    try {
      this.info = await api.info();
      if (this.info.needs_key && !key()) this.locked = true;
      else this.models = await api.models();
    } catch {
      this.failed = !this.locked;
    }
  }

  /** Whether any provider but the demo could answer. */
  get ready(): boolean {
    return this.info?.providers.some(({ adapter, ready }) => ready && adapter !== 'demo') ?? true;
  }

  /** The model for a new chat: the one chosen last if it is still there, else the gateway's own choice. */
  get preferred(): string | null {
    const known = (id: string | null | undefined): boolean => Boolean(id && (this.models === null || this.model(id) || this.mode(id)));
    return [settings.model, this.info?.default_model, this.models?.[0]?.id].find(known) ?? null;
  }

  model(id: string | null): Model | undefined {
    return this.models?.find((model) => model.id === id);
  }

  mode(id: string | null): string | undefined {
    return this.info?.modes.find(({ name }) => id === `mode:${name}`)?.name;
  }

  /** Unknown abilities are left to the provider to judge. */
  takes(id: string | null, input: Input): boolean {
    return this.model(id)?.llmproxy?.input?.includes(input) ?? true;
  }

  /** A model that says it takes all of these. */
  able(inputs: Input[]): Model | undefined {
    return this.models?.find((model) => inputs.every((input) => model.llmproxy?.input?.includes(input)));
  }
}

export const gateway = new Gateway();
