/** Copies text, and says so. */
import { copied } from '../lib/copy.ts';
import { strings } from '../strings.ts';
import { narrator } from './narrator.svelte.ts';
import { notices } from './notices.svelte.ts';

export async function copyText(text: string, said: string = strings.actions.copied): Promise<void> {
  const words = (await copied(text)) ? said : strings.actions.notCopied;
  narrator.say(words);
  notices.say(words);
}
