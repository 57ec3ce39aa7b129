/** How the page is built: hashed files into the gateway's static folder, nothing inline, so that a strict CSP holds. */
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { appendFileSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
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

/** Vite lists the licenses of the page's libraries, but not of what only its workers use. */
function workerLicenses(folder: string): Plugin {
  const libraries = { 'highlight.js': 'BSD-3-Clause', katex: 'MIT', 'pdfjs-dist': 'Apache-2.0' };
  const text = ([name, license]: [string, string]): string => `\n## ${name} (${license})\n\n${readFileSync(`node_modules/${name}/LICENSE`, 'utf8')}`;
  const append = (): void => appendFileSync(join(folder, 'licenses.md'), Object.entries(libraries).map(text).join(''));
  return { name: 'worker-licenses', apply: 'build', closeBundle: append };
}

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
