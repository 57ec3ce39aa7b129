/** Puts the page into its document. */
import { mount } from 'svelte';
import './tokens.css';
import './base.css';
import './prose.css';
import './media.css';
import { speak } from './languages/index.ts';
import { settings } from './state/settings.svelte.ts';
import App from './App.svelte';

const target = document.getElementById('app');
// English is here already: whoever reads it waits for nothing.
if (target) void speak(settings.language).then(() => mount(App, { target }));

// Only where it was built: in development the shell changes with every keystroke.
if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  void navigator.serviceWorker.register('./sw.js').catch(() => undefined); // without it the page works, online
}
