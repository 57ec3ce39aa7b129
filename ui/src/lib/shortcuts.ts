/** The page's keys: what each does, whether it was pressed, and how the platform writes it. */
import { onMac } from './typing.ts';

export type Command = 'newChat' | 'search' | 'focus' | 'stop' | 'copy' | 'model' | 'sidebar' | 'palette' | 'settings' | 'help';

interface Shortcut {
  command: Command;
  key: string;
  /** The one key of the platform's own commands, or the one that is left for a page; on a Mac Option alone types letters. */
  modifier: 'main' | 'page' | 'none';
}

export const SHORTCUTS: Shortcut[] = [
  { command: 'newChat', key: 'n', modifier: 'page' },
  { command: 'search', key: 'k', modifier: 'main' },
  { command: 'focus', key: '/', modifier: 'none' },
  { command: 'stop', key: 'Escape', modifier: 'none' },
  { command: 'copy', key: 'c', modifier: 'page' },
  { command: 'model', key: 'm', modifier: 'page' },
  { command: 'sidebar', key: 'b', modifier: 'page' },
  { command: 'palette', key: 'p', modifier: 'page' },
  { command: 'settings', key: ',', modifier: 'main' },
  { command: 'help', key: '?', modifier: 'none' },
];

const MODIFIERS = {
  mac: { main: 'meta', page: 'ctrl alt', none: '' },
  others: { main: 'ctrl', page: 'alt', none: '' },
};
const SIGNS = {
  mac: { main: ['⌘'], page: ['⌃', '⌥'], none: [] },
  others: { main: ['Ctrl'], page: ['Alt'], none: [] },
};

type Press = Pick<KeyboardEvent, 'key' | 'code' | 'ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey' | 'getModifierState'>;

function held({ ctrlKey, altKey, metaKey, shiftKey, key }: Press): string {
  const letter = /^[\p{L},]$/u.test(key);
  return [ctrlKey && 'ctrl', altKey && 'alt', metaKey && 'meta', shiftKey && letter && 'shift'].filter(Boolean).join(' ');
}

/** By the sign on the key; by its place only where the layout or a modifier makes another sign of it. */
function isKey({ key }: Shortcut, press: Press): boolean {
  if (key === press.key.toLowerCase() || key === press.key) return true;
  return /^[a-z]$/.test(key) && !/^[a-z]$/i.test(press.key) && press.code === `Key${key.toUpperCase()}`;
}

/** While somebody writes, signs are signs: only Esc and keys with a modifier are commands. AltGr is no modifier, it types. */
export function commandOf(press: Press, writing: boolean, mac = onMac): Command | null {
  if (press.getModifierState('AltGraph')) return null;
  const modifiers = MODIFIERS[mac ? 'mac' : 'others'];
  const found = SHORTCUTS.find((one) => modifiers[one.modifier] === held(press) && isKey(one, press));
  if (!found) return null;
  return writing && found.modifier === 'none' && found.command !== 'stop' ? null : found.command;
}

/** The keys of a command as one reads them on this platform's keyboards. */
export function keysOf(command: Command, mac = onMac): string[] {
  const found = SHORTCUTS.find((one) => one.command === command);
  if (!found) return [];
  const name = found.key === 'Escape' ? (mac ? '⎋' : 'Esc') : found.key.toUpperCase();
  return [...SIGNS[mac ? 'mac' : 'others'][found.modifier], name];
}
