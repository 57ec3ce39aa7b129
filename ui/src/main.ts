/** Puts the page into its document. */
import { mount } from 'svelte';
import './tokens.css';
import './base.css';
import './prose.css';
import './media.css';
import App from './App.svelte';

const target = document.getElementById('app');
if (target) mount(App, { target });

// Only where it was built: in development the shell changes with every keystroke.
if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  void navigator.serviceWorker.register('./sw.js').catch(() => undefined); // without it the page works, online
}
