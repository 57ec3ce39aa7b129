/** How the page is built: hashed files into the gateway's static folder, nothing inline, so that a strict CSP holds. */
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

const gateway = process.env['LLMPROXY_URL'] ?? 'http://127.0.0.1:8811';
// The gateway refuses foreign origins; in development the page is one, so it borrows the gateway's.
const toGateway = { target: gateway, changeOrigin: true, headers: { origin: gateway } };

const WORTH_PACKING = /\.(m?js|css|html|svg|json|webmanifest)$/;

/** Packs each file once, so that the gateway need not do it for every reader. */
function packed(folder: string): Plugin {
  const pack = (file: string): void => {
    const body = readFileSync(file);
    writeFileSync(`${file}.br`, brotliCompressSync(body));
    writeFileSync(`${file}.gz`, gzipSync(body, { level: 9 }));
  };
  const all = (): string[] => readdirSync(folder, { recursive: true }).map((name) => join(folder, String(name)));
  return {
    name: 'packed',
    apply: 'build',
    closeBundle: () => all().filter((file) => WORTH_PACKING.test(file) && statSync(file).isFile()).forEach(pack),
  };
}

/** What draws diagrams is one large file, kept packed only: the browser unpacks it (src/markdown/diagram.ts), and neither wheel nor gateway holds it twice. */
function packedMermaid(): void {
  mkdirSync('node_modules/.mermaid', { recursive: true });
  writeFileSync('node_modules/.mermaid/mermaid.bin', gzipSync(readFileSync('node_modules/mermaid/dist/mermaid.min.js'), { level: 9 }));
}

/** A library and those that it is bundled with. */
function family(name: string, found = new Set<string>()): Set<string> {
  const about = `node_modules/${name}/package.json`;
  if (found.has(name) || !existsSync(about)) return found;
  found.add(name);
  for (const other of Object.keys((JSON.parse(readFileSync(about, 'utf8')) as { dependencies?: object }).dependencies ?? {})) if (!other.startsWith('@types/')) family(other, found);
  return found;
}

function licenseOf(name: string): string {
  const { license } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')) as { license?: string };
  const file = readdirSync(`node_modules/${name}`).find((one) => /^licen[cs]e/i.test(one));
  return `\n## ${name} (${license ?? 'see below'})\n\n${file ? readFileSync(`node_modules/${name}/${file}`, 'utf8') : ''}`;
}

/** Vite lists the licenses of the page's libraries, but not of what only its workers and frames use. */
function workerLicenses(folder: string): Plugin {
  const libraries = ['highlight.js', 'katex', 'pdfjs-dist', ...family('mermaid')];
  const append = (): void => appendFileSync(join(folder, 'licenses.md'), libraries.map(licenseOf).join(''));
  return { name: 'worker-licenses', apply: 'build', closeBundle: append };
}

packedMermaid();
const folder = '../llmproxy/static';

export default defineConfig({
  base: './', // the page may stand under a path
  plugins: [svelte(), workerLicenses(folder), packed(folder)],
  build: {
    outDir: folder,
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: 'files.json',
    license: { fileName: 'licenses.md' },
  },
  worker: { format: 'es' },
  server: { proxy: { '/v1': toGateway, '/chat': toGateway, '/threads': toGateway, '/api': toGateway } },
  test: { include: ['test/**/*.test.ts'], testTimeout: 60_000 },
});
