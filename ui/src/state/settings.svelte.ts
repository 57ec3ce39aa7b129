/** What the reader prefers, kept in this browser: each setting under its own key, so that two tabs do not undo each other's. */
import { preferred, RIGHT_TO_LEFT, type Language } from '../languages/index.ts';
import type { Prompt } from '../lib/prompts.ts';

const PREFIX = 'llmproxy.';
/** Where all of them were kept together. */
const OLD = 'llmproxy.settings.v1';

export interface Preset {
  name: string;
  system: string;
  temperature: number | null;
  max_tokens: number | null;
  reasoning_effort: string | null;
}

export interface Settings extends Omit<Preset, 'name'> {
  streamResponses: boolean;
  presets: Preset[];
  /** The model chosen last, for new chats. */
  model: string | null;
  theme: 'system' | 'light' | 'dark';
  fontSize: 'small' | 'medium' | 'large';
  language: Language;
  sidebar: boolean;
  /** Whether the browser says when an answer in the background is done. */
  notify: boolean;
  prompts: Prompt[];
  favourites: string[];
  /** Models that were chosen last, the latest first. */
  recent: string[];
}

const DEFAULTS: Settings = {
  streamResponses: true, system: '', temperature: null, max_tokens: null, reasoning_effort: null, presets: [], model: null,
  theme: 'system', fontSize: 'medium', language: preferred(typeof navigator === 'undefined' ? [] : navigator.languages), sidebar: true, notify: false, prompts: [], favourites: [], recent: [],
};

type Name = keyof Settings;

const NAMES = Object.keys(DEFAULTS) as Name[];

function parsed(text: string | null): unknown {
  try {
    return text === null ? undefined : JSON.parse(text);
  } catch {
    return undefined; // what is broken counts as not set
  }
}

function read(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null; // forbidden storage costs the settings, never the page
  }
}

function write(name: string, text: string): void {
  try {
    localStorage.setItem(name, text);
  } catch {
    // full or forbidden: the settings hold for this visit
  }
}

function stored(): Partial<Settings> {
  const old = parsed(read(OLD)) as Partial<Settings> | undefined;
  const found = NAMES.map((name) => [name, parsed(read(PREFIX + name)) ?? old?.[name]]);
  return Object.fromEntries(found.filter(([, value]) => value !== undefined)) as Partial<Settings>;
}

export const settings: Settings = $state({ ...DEFAULTS, ...stored() });

/** Another tab has set something. */
function changed({ key, newValue }: StorageEvent): void {
  const name = NAMES.find((one) => PREFIX + one === key);
  if (name) Object.assign(settings, { [name]: parsed(newValue) ?? DEFAULTS[name] });
}

/** Keeps the document and the storage as the settings say, from now on; only what has changed is written. */
export function applySettings(): void {
  addEventListener('storage', changed);
  for (const name of NAMES) {
    let last = JSON.stringify(settings[name]);
    if (last !== JSON.stringify(DEFAULTS[name])) write(PREFIX + name, last);
    $effect(() => {
      const text = JSON.stringify(settings[name]);
      if (text === last) return;
      last = text;
      write(PREFIX + name, text);
    });
  }
  $effect(() => {
    document.documentElement.dataset['theme'] = settings.theme;
    document.documentElement.dataset['size'] = settings.fontSize;
    document.documentElement.lang = settings.language;
    document.documentElement.dir = RIGHT_TO_LEFT.includes(settings.language) ? 'rtl' : 'ltr';
  });
}

/** What decides over an answer beside its model: a chat's own, and what a new chat begins with. */
export type Parameters = Omit<Preset, 'name'>;

export function parametersOf({ system, temperature, max_tokens, reasoning_effort }: Partial<Parameters>): Parameters {
  return { system: system ?? '', temperature: temperature ?? null, max_tokens: max_tokens ?? null, reasoning_effort: reasoning_effort ?? null };
}

/** As members of a request; what is left at the model's default is not sent. */
export function sent({ system, ...others }: Parameters): Record<string, string | number> {
  const chosen = { system: system.trim() || null, ...others };
  return Object.fromEntries(Object.entries(chosen).filter((entry): entry is [string, string | number] => entry[1] !== null));
}

export function savePreset(name: string, parameters: Parameters): void {
  const others = settings.presets.filter((one) => one.name !== name);
  settings.presets = [...others, { name, ...parameters }];
}
