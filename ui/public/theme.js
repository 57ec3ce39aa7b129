// Sets the chosen theme before the first paint; the page itself takes over in src/state/settings.svelte.ts.
try {
  const old = JSON.parse(localStorage.getItem('llmproxy.settings.v1') ?? '{}');
  const chosen = (name) => JSON.parse(localStorage.getItem(`llmproxy.${name}`) ?? 'null') ?? old[name];
  if (chosen('theme')) document.documentElement.dataset.theme = chosen('theme');
  if (chosen('fontSize')) document.documentElement.dataset.size = chosen('fontSize');
} catch {
  // Storage may be forbidden; then the system's theme it is.
}
