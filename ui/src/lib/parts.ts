/** An answer as the list of its parts, in the order in which they came. */
import type { AnswerPart, Message } from './types.ts';

/** One that came in this order anyway need not have been kept as a list. */
export function partsOf({ parts, reasoning, content, tool_calls }: Message): AnswerPart[] {
  if (parts?.length) return parts;
  return [
    ...(reasoning ? [{ type: 'reasoning' as const, text: reasoning }] : []),
    ...(content ? [{ type: 'text' as const, text: String(content) }] : []),
    ...tool_calls.map(({ index }) => ({ type: 'tool_call' as const, index })),
  ];
}

export function grown(parts: AnswerPart[] = [], type: 'text' | 'reasoning', text: string): AnswerPart[] {
  const last = parts.at(-1);
  return last?.type === type ? [...parts.slice(0, -1), { type, text: last.text + text }] : [...parts, { type, text }];
}

/** Pieces of sound stay apart: each is padded by itself. */
export function sounding(parts: AnswerPart[] = [], data: string, transcript: string): AnswerPart[] {
  const last = parts.at(-1);
  if (last?.type !== 'audio') return [...parts, { type: 'audio', data: [data], transcript }];
  return [...parts.slice(0, -1), { ...last, data: [last.data, data].flat(), transcript: last.transcript + transcript }];
}

/** Whether there is anything of the answer itself, and not only of what was thought before it. */
export function begun(parts: AnswerPart[]): boolean {
  return parts.some(({ type }) => type !== 'reasoning' && type !== 'tool_call');
}
