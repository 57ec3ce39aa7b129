/** Copies text, and says so. */
import { copied, copiedRich } from '../lib/copy.ts';
import { strings } from '../strings.ts';
import { narrator } from './narrator.svelte.ts';
import { notices } from './notices.svelte.ts';

export async function copyText(text: string, said: string = strings.actions.copied): Promise<void> {
  tell(await copied(text), said);
}

/** As it is shown, without its buttons. */
export async function copyRich(text: string): Promise<void> {
  const { plainHtml } = await import('../lib/export-html.ts');
  tell(await copiedRich(plainHtml(text), text), strings.actions.copiedRich);
}

function tell(done: boolean, said: string): void {
  const words = done ? said : strings.actions.notCopied;
  narrator.say(words);
  notices.say(words);
}
