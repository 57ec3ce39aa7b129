/** What is open on the page besides the chat: the drawer, a dialog, the place to write. */
import { place } from './route.svelte.ts';
import { settings } from './settings.svelte.ts';

export type Overlay = 'settings' | 'shortcuts' | 'palette';

const PHONE = '(max-width: 47.99rem)';
const COARSE = '(pointer: coarse)';

class View {
  drawer = $state(false);
  overlay = $state<Overlay | null>(null);
  phone = $state(matchMedia(PHONE).matches);
  /** The page is touched: writing opens a keyboard on it, whose Enter makes a line. */
  coarse = $state(matchMedia(COARSE).matches);
  /** The question that is being edited. */
  editing = $state<string | null>(null);
  /** A message that a search led to. */
  sought = $state<string | null>(null);

  constructor() {
    matchMedia(PHONE).addEventListener('change', ({ matches }) => (this.phone = matches));
    matchMedia(COARSE).addEventListener('change', ({ matches }) => (this.coarse = matches));
  }

  get sidebar(): boolean {
    return this.phone ? this.drawer : settings.sidebar;
  }

  toggleSidebar(): void {
    if (this.phone && this.drawer) this.closeDrawer();
    else if (this.phone) this.drawer = true;
    else settings.sidebar = !settings.sidebar;
  }

  /** The focus goes back to where the drawer was opened, unless it has found a better place. */
  closeDrawer(): void {
    this.drawer = false;
    requestAnimationFrame(() => {
      if (document.activeElement === document.body) document.getElementById('open-chats')?.focus();
    });
  }

  show(overlay: Overlay): void {
    this.drawer = false;
    this.overlay = overlay;
  }

  newChat(): void {
    this.drawer = false;
    place.go('#/');
    this.focusComposer();
  }

  toMessage(id: string): void {
    this.drawer = false;
    this.sought = id;
  }

  /** At once if there is one; it may only just be appearing. */
  focusComposer(): void {
    const found = document.getElementById('composer');
    if (found) found.focus();
    else requestAnimationFrame(() => document.getElementById('composer')?.focus());
  }

  search(): void {
    if (!this.sidebar) this.toggleSidebar();
    requestAnimationFrame(() => document.getElementById('search')?.focus());
  }
}

export const view = new View();
