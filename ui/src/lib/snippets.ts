/** A request as one would send it again: from a shell, from Python, from Node. The key is named, never shown. */
import type { Content, Message, Part } from './types.ts';

export type Language = 'curl' | 'python' | 'node';

/** Where each dialect is asked. What stands in the address there cannot be told from the dialect alone. */
const PATHS: Record<string, string> = { chat: '/v1/chat/completions', completions: '/v1/completions', embeddings: '/v1/embeddings', messages: '/v1/messages', responses: '/v1/responses' };

export interface Asked {
  path: string;
  body: Record<string, unknown>;
}

/** What was said in a chat up to an answer. */
export interface Said {
  model: string;
  messages: Pick<Message, 'role' | 'content'>[];
  settings: Record<string, string | number>;
}

/** Data is long and says nothing to a reader. */
function shortened(part: Part): unknown {
  return JSON.parse(JSON.stringify(part, (_, value: unknown) => (typeof value === 'string' && value.length > 4000 && !value.includes(' ') ? `${value.slice(0, 60)}...` : value)));
}

const told = (content: Content): unknown => (typeof content === 'string' ? content : content.map(shortened));

/** The question of a chat, with what was said before it. */
export function ofChat({ model, messages, settings }: Said): Asked {
  const { system, ...others } = settings;
  const first = system ? [{ role: 'system', content: system }] : [];
  return { path: '/v1/chat/completions', body: { model, messages: [...first, ...messages.map(({ role, content }) => ({ role, content: told(content) }))], stream: true, ...others } };
}

/** Of a request whose words are not known, or only where the operator has them kept. */
export function ofRequest(model: string, dialect: string, stream: boolean, question: string | null): Asked {
  const path = PATHS[dialect];
  if (path && question) {
    try {
      return { path, body: JSON.parse(question) as Record<string, unknown> };
    } catch {
      // it was longer than what is kept
    }
  }
  return { path: '/v1/chat/completions', body: { model, messages: [{ role: 'user', content: '...' }], ...(stream ? { stream } : {}) } };
}

const pretty = (body: unknown): string => JSON.stringify(body, null, 2);
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** JSON as Python writes it; the words within strings stay as they are. */
function pythonic(body: unknown): string {
  return pretty(body).replace(/"(?:[^"\\]|\\.)*"|\b(?:true|false|null)\b/g, (word) => ({ true: 'True', false: 'False', null: 'None' })[word] ?? word);
}

const WRITERS: Record<Language, (base: string, asked: Asked) => string> = {
  curl: (base, { path, body }) =>
    `curl -N ${quoted(base + path)} \\\n  -H "Authorization: Bearer $LLMPROXY_KEY" \\\n  -H 'Content-Type: application/json' \\\n  -d ${quoted(pretty(body))}\n`,
  python: (base, { path, body }) =>
    `import os\n\nimport httpx\n\nbody = ${pythonic(body)}\nheaders = {"Authorization": f"Bearer {os.environ.get('LLMPROXY_KEY', '')}"}\n` +
    `with httpx.stream("POST", "${base}${path}", json=body, headers=headers, timeout=None) as answer:\n    for line in answer.iter_lines():\n        print(line)\n`,
  node: (base, { path, body }) =>
    `const body = ${pretty(body)};\nconst answer = await fetch("${base}${path}", {\n  method: "POST",\n` +
    `  headers: { "Authorization": \`Bearer \${process.env.LLMPROXY_KEY ?? ""}\`, "Content-Type": "application/json" },\n  body: JSON.stringify(body),\n});\n` +
    `for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) process.stdout.write(piece);\n`,
};

export function snippet(language: Language, base: string, asked: Asked): string {
  return WRITERS[language](base, asked);
}
