/** Tells the reader of an answer that is done while they look at something else. Its words stay in the page. */
import { withoutFiles } from '../lib/content.ts';
import { strings } from '../strings.ts';
import type { Conversation } from './conversation.svelte.ts';
import { place } from './route.svelte.ts';
import { settings } from './settings.svelte.ts';

export const canNotify = 'Notification' in window;

/** Asks the browser for leave. Whether it is given. */
export async function mayNotify(): Promise<boolean> {
  return canNotify && (await Notification.requestPermission()) === 'granted';
}

export function notifyDone({ id, thread, messages, head }: Conversation, shown: boolean): void {
  const watched = shown && !document.hidden && document.hasFocus();
  const ended = messages.get(head);
  if (watched || !id || !ended || !settings.notify || !canNotify || Notification.permission !== 'granted') return;
  const said = ended.state === 'complete' ? strings.notify.done : strings.notify.failed;
  const notification = new Notification(withoutFiles(thread?.title ?? '') || strings.name, { body: said, tag: id, icon: './icon-192.png' });
  notification.onclick = () => {
    window.focus();
    place.toThread(id);
    notification.close();
  };
}
