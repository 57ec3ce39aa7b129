/** What an answer becomes with each event: a pure function, so that a resumed stream gives the same answer as an unbroken one. */
import { grown, sounding } from './parts.ts';
import type { Event } from './stream.ts';
import type { Citation, Message, Phase, Problem, ToolCall, Usage } from './types.ts';

interface Done {
  ok: boolean;
  stopped?: boolean;
  response?: string;
  reasoning?: string | null;
  model_used?: string | null;
  error?: Problem;
  closed_ms?: number | null;
  [member: string]: unknown;
}

/** Members of `done` that an answer carries under the same name. */
const SAID = ['provider', 'usage', 'cost', 'ttft_ms', 'duration_ms', 'reasoning_ms', 'tokens_per_second', 'finish_reason',
  'attempts', 'failures', 'route', 'request_id', 'closed_ms'] as const;

export function blank(id: string, thread: string, question: string | null): Message {
  return {
    id, thread_id: thread, parent_id: question, role: 'assistant', content: '', reasoning: null, tool_calls: [], citations: [], parts: [],
    state: 'streaming', error: null, request_id: null, model: null, provider: null, usage: null, cost: null, ttft_ms: null,
    duration_ms: null, reasoning_ms: null, attempts: null, failures: [], route: null, finish_reason: null,
    created_at: Date.now() / 1000, phase: { state: 'asking' },
  };
}

/** The answer as it was before its first event. */
export function emptied(answer: Message): Message {
  return { ...answer, content: '', reasoning: null, tool_calls: [], citations: [], parts: [], phase: { state: 'resuming' } };
}

type Step = (answer: Message, data: never) => Message;

function init(answer: Message, data: { request_id: string; model: string | null; question_id: string | null; message_id: string | null }): Message {
  return {
    ...answer,
    id: data.message_id ?? answer.id,
    parent_id: data.question_id ?? answer.parent_id,
    request_id: data.request_id,
    model: data.model ?? answer.model,
  };
}

function toolCall(answer: Message, piece: Partial<ToolCall> & { index: number }): Message {
  const known = answer.tool_calls.find((call) => call.index === piece.index);
  const grown: ToolCall = {
    index: piece.index,
    id: piece.id ?? known?.id ?? null,
    name: piece.name ?? known?.name ?? null,
    arguments: (known?.arguments ?? '') + (piece.arguments ?? ''),
  };
  const parts = known ? answer.parts : [...(answer.parts ?? []), { type: 'tool_call' as const, index: piece.index }];
  return { ...answer, ...(parts ? { parts } : {}), tool_calls: [...answer.tool_calls.filter((call) => call !== known), grown].sort((a, b) => a.index - b.index) };
}

function citation(answer: Message, found: Citation): Message {
  return { ...answer, citations: [...answer.citations.filter(({ index }) => index !== found.index), found] };
}

function stateOf(done: Done): Message['state'] {
  if (done.ok) return 'complete';
  return done.stopped ? 'stopped' : 'failed';
}

function done(answer: Message, data: Done): Message {
  const said = Object.fromEntries(SAID.filter((name) => data[name] !== undefined).map((name) => [name, data[name]]));
  return {
    ...answer,
    ...said,
    content: data.response ?? answer.content,
    reasoning: data.reasoning ?? answer.reasoning,
    model: data.model_used ?? answer.model,
    state: stateOf(data),
    error: data.error ?? null,
    phase: null,
  };
}

const STEPS: Record<string, Step> = {
  init,
  status: (answer, phase: Phase) => ({ ...answer, phase }),
  token: (answer, { t }: { t: string }) => ({ ...answer, content: answer.content + t, parts: grown(answer.parts, 'text', t) }),
  reasoning: (answer, { t }: { t: string }) => ({ ...answer, reasoning: (answer.reasoning ?? '') + t, parts: grown(answer.parts, 'reasoning', t) }),
  tool_call: toolCall,
  image: (answer, drawn: { url?: string; omitted?: number }) => ({ ...answer, parts: [...(answer.parts ?? []), { type: 'image', ...drawn }] }),
  audio: (answer, { data, transcript }: { data: string; transcript: string }) => ({ ...answer, parts: sounding(answer.parts, data, transcript) }),
  citation,
  usage: (answer, usage: Usage) => ({ ...answer, usage }),
  done,
};

/** Events that are unknown change nothing: the interface may grow. */
export function applyEvent(answer: Message, event: Event): Message {
  return STEPS[event.name]?.(answer, event.data as never) ?? answer;
}

/** Whether `next` shows at least as much as `shown`: a replay from the start must not make text vanish. */
export function covers(next: Message, shown: Message): boolean {
  return next.state !== 'streaming' || next.content.length >= shown.content.length;
}
