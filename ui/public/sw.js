// Keeps the page's shell for times without a network: hashed files from the cache, the document from the network first.
const SHELL = 'shell-v1';
const ROOT = new URL('./', self.location.href).pathname; // the page may stand under a path
const ALWAYS = ['', 'theme.js', 'icon.svg', 'manifest.webmanifest'].map((name) => ROOT + name);

/** Too large to be fetched by everybody: kept when it was wanted. */
const LATER = /\/(pdf|mermaid)[.-]/;

async function built() {
  const entries = Object.values(await (await fetch(`${ROOT}files.json`)).json());
  const files = entries.flatMap((entry) => [entry.file, ...(entry.css ?? []), ...(entry.assets ?? [])]);
  return new Set(files.map((file) => ROOT + file));
}

async function fill() {
  const cache = await caches.open(SHELL);
  await cache.addAll([...ALWAYS, ...[...(await built())].filter((name) => !LATER.test(name))]);
}

/** Forgets the files of earlier builds. */
async function tidy() {
  const [cache, files] = [await caches.open(SHELL), await built()];
  const old = (await cache.keys()).filter(({ url }) => new URL(url).pathname.startsWith(`${ROOT}assets/`) && !files.has(new URL(url).pathname));
  await Promise.all(old.map((request) => cache.delete(request)));
}

async function remember(request) {
  const response = await fetch(request);
  if (response.ok) (await caches.open(SHELL)).put(request, response.clone());
  return response;
}

async function hashed(request) {
  return (await caches.match(request)) ?? remember(request);
}

async function fresh(request) {
  try {
    return await remember(request);
  } catch (error) {
    const kept = await caches.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}

self.addEventListener('install', (event) => event.waitUntil(fill().then(() => self.skipWaiting())));
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (event.request.method !== 'GET' || origin !== self.location.origin) return;
  if (pathname.startsWith(`${ROOT}assets/`)) event.respondWith(hashed(event.request));
  else if (ALWAYS.includes(pathname)) {
    event.respondWith(fresh(event.request));
    if (pathname === ROOT) event.waitUntil(tidy().catch(() => undefined)); // without a network there is nothing to tidy
  }
});
