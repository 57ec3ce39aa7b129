/** How the page is built: hashed files into the gateway's static folder, nothing inline, so that a strict CSP holds. */
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

const gateway = process.env['LLMPROXY_URL'] ?? 'http://127.0.0.1:8811';
// The gateway refuses foreign origins; in development the page is one, so it borrows the gateway's.
const toGateway = { target: gateway, changeOrigin: true, headers: { origin: gateway } };

export default defineConfig({
  plugins: [svelte()],
  build: {
    outDir: '../llmproxy/static',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: 'files.json',
  },
  worker: { format: 'es' },
  server: { proxy: { '/v1': toGateway, '/chat': toGateway, '/threads': toGateway, '/api': toGateway } },
  test: { include: ['test/**/*.test.ts'] },
});
