/** Copies text, and says so. */
import { strings } from '../strings.ts';
import { narrator } from './narrator.svelte.ts';
import { notices } from './notices.svelte.ts';

export async function copyText(text: string, said: string = strings.actions.copied): Promise<void> {
  await navigator.clipboard.writeText(text);
  narrator.say(said);
  notices.say(said);
}
