/** Copies text: by the browser's clipboard, and where that is forbidden (plain http) by a selection. */

function bySelection(text: string): boolean {
  const area = document.createElement('textarea');
  area.className = 'hidden';
  area.readOnly = true;
  area.value = text;
  const before = document.activeElement;
  (document.querySelector('dialog[open]') ?? document.body).append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  return done;
}

/** Whether it could be copied. */
export async function copied(text: string): Promise<boolean> {
  const asked = navigator.clipboard?.writeText(text).then(() => true, () => false);
  return (await asked) || bySelection(text);
}

/** As a word processor takes it, with its form; as plain text where the browser cannot. */
export async function copiedRich(html: string, text: string): Promise<boolean> {
  try {
    const item = new ClipboardItem({ 'text/html': new Blob([html], { type: 'text/html' }), 'text/plain': new Blob([text], { type: 'text/plain' }) });
    await navigator.clipboard.write([item]);
    return true;
  } catch {
    return copied(text);
  }
}
