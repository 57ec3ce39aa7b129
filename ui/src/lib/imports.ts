/** Chats of other programs, as an export of this gateway: ChatGPT, Claude, Open WebUI, llms.py. What has no place here is left out. */
import { entry } from './zip.ts';

export class Unknown extends Error {}

type Json = Record<string, unknown>;

interface Said {
  id: string;
  parent_id: string | null;
  role: 'user' | 'assistant';
  content: string;
  reasoning?: string;
  model?: string | null;
  created_at: number;
  state: 'complete';
}

interface Chat {
  title: string;
  model: string | null;
  pinned: boolean;
  settings: Json;
  created_at: number;
  updated_at: number;
  head: string | null;
  messages: Said[];
}

const object = (value: unknown): Json => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {});
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Unix seconds, from seconds, milliseconds, nanoseconds or a date. */
function seconds(value: unknown): number {
  if (typeof value === 'string') return /^\d+$/.test(value) ? seconds(Number(value)) : (Date.parse(value) || 0) / 1000;
  if (typeof value !== 'number' || !Number.isFinite(value)) return 0;
  let time = value;
  while (Math.abs(time) > 1e11) time /= 1000;
  return time;
}

const roleOf = (value: unknown): Said['role'] | null => ({ user: 'user', human: 'user', assistant: 'assistant' } as const)[text(value)] ?? null;

function chat(title: unknown, created: unknown, updated: unknown, messages: Said[], head: string | null, members: Partial<Chat> = {}): Chat {
  const times = messages.map(({ created_at }) => created_at).filter(Boolean);
  const made = seconds(created) || (times[0] ?? 0);
  return {
    title: text(title).slice(0, 500), model: null, pinned: false, settings: {}, created_at: made, updated_at: seconds(updated) || (times.at(-1) ?? made), head, messages, ...members,
  };
}

/** Messages that have no place here give way to what they follow. */
function shown(all: Map<string, { said: Said | null; parent: string | null }>): { messages: Said[]; nearest: (id: string | null) => string | null } {
  const nearest = (id: string | null): string | null => {
    const seen = new Set<string>();
    let at = id;
    while (at !== null && !seen.has(at)) {
      seen.add(at);
      const found = all.get(at);
      if (!found) return null;
      if (found.said) return at;
      at = found.parent;
    }
    return null;
  };
  const messages = [...all.values()].flatMap(({ said, parent }) => (said ? [{ ...said, parent_id: nearest(parent) }] : []));
  return { messages: ordered(messages), nearest };
}

/** A message after the one that it answers. */
function ordered(messages: Said[]): Said[] {
  const children = new Map<string | null, Said[]>();
  for (const one of messages) children.set(one.parent_id, [...(children.get(one.parent_id) ?? []), one]);
  const result: Said[] = [];
  const left = [...(children.get(null) ?? [])];
  for (let next = left.shift(); next; next = left.shift()) {
    result.push(next);
    left.push(...(children.get(next.id) ?? []));
  }
  return result;
}

// ChatGPT: a tree of nodes; tools, system messages and hidden ones are nodes as well.
function gptText(content: Json): string {
  const parts = list(content['parts']).map((part) => (typeof part === 'string' ? part : text(object(part)['text'])));
  return parts.filter(Boolean).join('\n\n') || text(content['text']);
}

function fromChatGpt(given: Json): Chat {
  const all = new Map<string, { said: Said | null; parent: string | null }>();
  for (const [id, raw] of Object.entries(object(given['mapping']))) {
    const node = object(raw);
    const message = object(node['message']);
    const role = roleOf(object(message['author'])['role']);
    const metadata = object(message['metadata']);
    const content = gptText(object(message['content']));
    const kind = text(object(message['content'])['content_type']);
    const hidden = metadata['is_visually_hidden_from_conversation'] === true || !['', 'text', 'multimodal_text'].includes(kind) || !['', 'all'].includes(text(message['recipient']));
    const said: Said | null = role && content && !hidden ? { id, parent_id: null, role, content, model: text(metadata['model_slug']) || null, created_at: seconds(message['create_time']), state: 'complete' } : null;
    all.set(id, { said, parent: text(node['parent']) || null });
  }
  const { messages, nearest } = shown(all);
  return chat(given['title'], given['create_time'], given['update_time'], messages, nearest(text(given['current_node'])));
}

function inARow(messages: Omit<Said, 'parent_id'>[]): Said[] {
  return messages.map((one, index) => ({ ...one, parent_id: messages[index - 1]?.id ?? null }));
}

// Claude: a row of messages, each with blocks; text of attached files stands beside them.
function claudeText(message: Json): string {
  const blocks = list(message['content']).map(object).filter(({ type }) => type === 'text').map((block) => text(block['text']));
  const files = list(message['attachments']).map(object).filter((file) => text(file['extracted_content']))
    .map((file) => `<file name="${text(file['file_name']).replaceAll('"', "'")}">\n${text(file['extracted_content'])}\n</file>`);
  return [blocks.filter(Boolean).join('\n\n') || text(message['text']), ...files].filter(Boolean).join('\n\n');
}

function fromClaude(given: Json): Chat {
  const messages = inARow(list(given['chat_messages']).map(object).flatMap((message, index) => {
    const role = roleOf(message['sender']);
    const content = claudeText(message);
    const reasoning = list(message['content']).map(object).filter(({ type }) => type === 'thinking').map((block) => text(block['thinking'])).join('\n\n');
    return role && content ? [{ id: text(message['uuid']) || `m${index}`, role, content, ...(reasoning ? { reasoning } : {}), created_at: seconds(message['created_at']), state: 'complete' as const }] : [];
  }));
  return chat(given['name'], given['created_at'], given['updated_at'], messages, messages.at(-1)?.id ?? null);
}

// Open WebUI: a tree by parentId, in the chat's history.
function fromOpenWebUi(given: Json): Chat {
  const inner = object(given['chat']);
  const history = object(inner['history']);
  const all = new Map<string, { said: Said | null; parent: string | null }>();
  for (const [id, raw] of Object.entries(object(history['messages']))) {
    const message = object(raw);
    const role = roleOf(message['role']);
    const content = text(message['content']);
    const said: Said | null = role && content ? { id, parent_id: null, role, content, model: text(message['model']) || null, created_at: seconds(message['timestamp']), state: 'complete' } : null;
    all.set(id, { said, parent: text(message['parentId']) || null });
  }
  const { messages, nearest } = shown(all);
  const tags = list(object(given['meta'])['tags']).filter((tag): tag is string => typeof tag === 'string');
  return chat(given['title'] ?? inner['title'], given['created_at'] ?? inner['timestamp'], given['updated_at'], messages, nearest(text(history['currentId'])), {
    pinned: given['pinned'] === true, settings: tags.length ? { tags } : {},
  });
}

// llms.py: a row of messages in a thread.
function fromLlms(given: Json): Chat {
  const messages = inARow(list(given['messages']).map(object).flatMap((message, index) => {
    const role = roleOf(message['role']);
    const parts = list(message['content']).map(object).map((part) => text(part['text'])).filter(Boolean).join('\n\n');
    const content = text(message['content']) || parts;
    const model = text(message['model']) || (role === 'assistant' ? text(given['model']) : '');
    const reasoning = text(message['reasoning']);
    const id = String(message['id'] ?? message['timestamp'] ?? '') || `m${index}`;
    return role && content ? [{ id: `${index}-${id}`, role, content, model: model || null, ...(reasoning ? { reasoning } : {}), created_at: seconds(message['timestamp']), state: 'complete' as const }] : [];
  }));
  const system = text(given['systemPrompt']);
  return chat(given['title'], given['createdAt'], given['updatedAt'], messages, messages.at(-1)?.id ?? null, { settings: system ? { system } : {} });
}

const KINDS: [is: (one: Json) => boolean, from: (one: Json) => Chat][] = [
  [(one) => 'mapping' in one, fromChatGpt],
  [(one) => 'chat_messages' in one, fromClaude],
  [(one) => 'history' in object(one['chat']), fromOpenWebUi],
  [(one) => Array.isArray(one['messages']) && ('createdAt' in one || 'systemPrompt' in one || 'updatedAt' in one), fromLlms],
];

/** Where exports keep their chats: at the top, or in a member. */
function chatsIn(given: unknown): Json[] {
  if (Array.isArray(given)) return given.map(object);
  const top = object(given);
  for (const name of ['threads', 'conversations', 'chats']) if (Array.isArray(top[name])) return list(top[name]).map(object);
  return [top];
}

/** Raises Unknown for what is no export that is known. */
export function fromOthers(given: unknown): { format: string; version: number; exported_at: number; threads: Chat[] } {
  const threads = chatsIn(given).flatMap((one) => {
    const kind = KINDS.find(([is]) => is(one));
    const made = kind?.[1](one);
    return made?.messages.length ? [made] : [];
  });
  if (threads.length === 0) throw new Unknown();
  return { format: 'llmproxy-threads', version: 1, exported_at: Date.now() / 1000, threads };
}

/** An export as this gateway takes it: its own as it is, others converted, each alone or in the ZIP that it came in. Raises Unknown. */
export async function converted(file: Blob): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const zipped = bytes[0] === 0x50 && bytes[1] === 0x4b;
  const body = zipped ? await entry(bytes, (name) => /(^|\/)conversations\.json$/.test(name)) : bytes;
  if (!body) throw new Unknown();
  const source = new TextDecoder().decode(body);
  let given: unknown;
  try {
    given = JSON.parse(source);
  } catch {
    throw new Unknown();
  }
  return object(given)['format'] === 'llmproxy-threads' ? source : JSON.stringify(fromOthers(given));
}
