// Sets the chosen theme before the first paint; the page itself takes over in src/state/settings.svelte.ts.
try {
  const { theme, fontSize } = JSON.parse(localStorage.getItem('llmproxy.settings.v1') ?? '{}');
  if (theme) document.documentElement.dataset.theme = theme;
  if (fontSize) document.documentElement.dataset.size = fontSize;
} catch {
  // Storage may be forbidden; then the system's theme it is.
}
