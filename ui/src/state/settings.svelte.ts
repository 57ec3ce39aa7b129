/** What the reader prefers, kept in this browser under one versioned key. */
const NAME = 'llmproxy.settings.v1';

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
  language: 'en';
  sidebar: boolean;
}

const DEFAULTS: Settings = {
  streamResponses: true, system: '', temperature: null, max_tokens: null, reasoning_effort: null, presets: [], model: null,
  theme: 'system', fontSize: 'medium', language: 'en', sidebar: true,
};

function stored(): Partial<Settings> {
  try {
    return JSON.parse(localStorage.getItem(NAME) ?? '{}') as Partial<Settings>;
  } catch {
    return {}; // broken or forbidden storage costs the settings, never the page
  }
}

export const settings: Settings = $state({ ...DEFAULTS, ...stored() });

function store(): void {
  const text = JSON.stringify(settings);
  try {
    localStorage.setItem(NAME, text);
  } catch {
    // full or forbidden: the settings hold for this visit
  }
}

/** Keeps the document and the storage as the settings say, from now on. */
export function applySettings(): void {
  $effect(store);
  $effect(() => {
    document.documentElement.dataset['theme'] = settings.theme;
    document.documentElement.dataset['size'] = settings.fontSize;
    document.documentElement.lang = settings.language;
  });
}

/** The members of a request that settings decide; what is left at the model's default is not sent. */
export function parameters(): Record<string, string | number> {
  const { system, temperature, max_tokens, reasoning_effort } = settings;
  const chosen = { system: system.trim() || null, temperature, max_tokens, reasoning_effort };
  return Object.fromEntries(Object.entries(chosen).filter((entry): entry is [string, string | number] => entry[1] !== null));
}

export function usePreset(name: string): void {
  const preset = settings.presets.find((one) => one.name === name);
  if (preset) {
    const { system, temperature, max_tokens, reasoning_effort } = preset;
    Object.assign(settings, { system, temperature, max_tokens, reasoning_effort });
  }
}

export function savePreset(name: string): void {
  const { system, temperature, max_tokens, reasoning_effort } = settings;
  const others = settings.presets.filter((one) => one.name !== name);
  settings.presets = [...others, { name, system, temperature, max_tokens, reasoning_effort }];
}
