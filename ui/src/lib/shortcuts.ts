/** The page's keys: what each does, and whether it was pressed. */

export type Command = 'newChat' | 'search' | 'focus' | 'stop' | 'copy' | 'model' | 'sidebar' | 'settings' | 'help';

interface Shortcut {
  command: Command;
  keys: string[];
  /** `KeyboardEvent.code`, which does not change with the layout's Alt characters; or `key` for signs. */
  code?: string;
  key?: string;
  modifier: 'ctrl' | 'alt' | 'none';
}

export const SHORTCUTS: Shortcut[] = [
  { command: 'newChat', keys: ['Alt', 'N'], code: 'KeyN', modifier: 'alt' },
  { command: 'search', keys: ['Ctrl', 'K'], code: 'KeyK', modifier: 'ctrl' },
  { command: 'focus', keys: ['/'], key: '/', modifier: 'none' },
  { command: 'stop', keys: ['Esc'], key: 'Escape', modifier: 'none' },
  { command: 'copy', keys: ['Alt', 'C'], code: 'KeyC', modifier: 'alt' },
  { command: 'model', keys: ['Alt', 'M'], code: 'KeyM', modifier: 'alt' },
  { command: 'sidebar', keys: ['Alt', 'B'], code: 'KeyB', modifier: 'alt' },
  { command: 'settings', keys: ['Ctrl', ','], key: ',', modifier: 'ctrl' },
  { command: 'help', keys: ['?'], key: '?', modifier: 'none' },
];

type Press = Pick<KeyboardEvent, 'key' | 'code' | 'ctrlKey' | 'metaKey' | 'altKey'>;

function modifierOf(press: Press): Shortcut['modifier'] {
  if (press.ctrlKey || press.metaKey) return 'ctrl';
  return press.altKey ? 'alt' : 'none';
}

/** While somebody writes, signs are signs; only Esc and keys with a modifier are commands. */
export function commandOf(press: Press, writing: boolean): Command | null {
  const modifier = modifierOf(press);
  const found = SHORTCUTS.find((one) => one.modifier === modifier && (one.code ? one.code === press.code : one.key === press.key));
  if (!found) return null;
  return writing && modifier === 'none' && found.command !== 'stop' ? null : found.command;
}
