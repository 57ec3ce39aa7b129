/** Highlights code away from the page's thread, and answers with only the lines that are new or different. */
import hljs from 'highlight.js/lib/core';
import bash from 'highlight.js/lib/languages/bash';
import c from 'highlight.js/lib/languages/c';
import cpp from 'highlight.js/lib/languages/cpp';
import csharp from 'highlight.js/lib/languages/csharp';
import css from 'highlight.js/lib/languages/css';
import diff from 'highlight.js/lib/languages/diff';
import dockerfile from 'highlight.js/lib/languages/dockerfile';
import go from 'highlight.js/lib/languages/go';
import ini from 'highlight.js/lib/languages/ini';
import java from 'highlight.js/lib/languages/java';
import javascript from 'highlight.js/lib/languages/javascript';
import json from 'highlight.js/lib/languages/json';
import kotlin from 'highlight.js/lib/languages/kotlin';
import lua from 'highlight.js/lib/languages/lua';
import makefile from 'highlight.js/lib/languages/makefile';
import markdown from 'highlight.js/lib/languages/markdown';
import php from 'highlight.js/lib/languages/php';
import python from 'highlight.js/lib/languages/python';
import r from 'highlight.js/lib/languages/r';
import ruby from 'highlight.js/lib/languages/ruby';
import rust from 'highlight.js/lib/languages/rust';
import sql from 'highlight.js/lib/languages/sql';
import swift from 'highlight.js/lib/languages/swift';
import typescript from 'highlight.js/lib/languages/typescript';
import xml from 'highlight.js/lib/languages/xml';
import yaml from 'highlight.js/lib/languages/yaml';
import type { Highlighted, ToHighlight } from './highlighter.ts';
import { lines } from './lines.ts';

const LANGUAGES = { bash, c, cpp, csharp, css, diff, dockerfile, go, ini, java, javascript, json, kotlin, lua, makefile, markdown, php,
  python, r, ruby, rust, sql, swift, typescript, xml, yaml };

for (const [name, language] of Object.entries(LANGUAGES)) hljs.registerLanguage(name, language);
hljs.registerAliases(['console', 'shell', 'zsh'], { languageName: 'bash' });
hljs.registerAliases(['svelte', 'vue'], { languageName: 'xml' });

/** The lines last sent for each block that may still grow, but for the last, which may have been half a line. */
const sent = new Map<number, string[]>();

function highlighted({ id, code, language, final }: ToHighlight): Highlighted {
  const known = hljs.getLanguage(language) !== undefined;
  const now = known ? lines(hljs.highlight(code, { language, ignoreIllegals: true }).value) : [];
  const before = sent.get(id) ?? [];
  const changed = now.findIndex((line, index) => line !== before[index]);
  const from = changed < 0 ? now.length : changed;
  if (final) sent.delete(id);
  else sent.set(id, now.slice(0, -1));
  return { id, from, lines: now.slice(from) };
}

self.addEventListener('message', ({ data }: MessageEvent<ToHighlight>) => self.postMessage(highlighted(data)));
