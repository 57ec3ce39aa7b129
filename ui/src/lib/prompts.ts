/** The reader's own prompts: found by a word after a slash, with blanks that are filled before they are written. Pure. */
export interface Prompt {
  name: string;
  text: string;
}

const BLANK = /\{\{\s*([^{}]{1,60}?)\s*\}\}/g;

/** The names of the blanks, each once, in their order. */
export function blanks(text: string): string[] {
  return [...new Set([...text.matchAll(BLANK)].map((match) => match[1] ?? ''))];
}

export function filled(text: string, values: Record<string, string>): string {
  return text.replace(BLANK, (blank, name: string) => values[name] ?? blank);
}

/** What is looked for: a text that is a slash and one word. Anything longer is a message that begins with a slash. */
export function wanted(text: string): string | null {
  const match = /^\/(\S*)$/.exec(text);
  return match ? (match[1] ?? '').toLowerCase() : null;
}

export function found(prompts: Prompt[], query: string): Prompt[] {
  const begins = prompts.filter(({ name }) => name.toLowerCase().startsWith(query));
  return [...begins, ...prompts.filter((one) => !begins.includes(one) && one.name.toLowerCase().includes(query))];
}
