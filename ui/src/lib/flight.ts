/** A request's flight record as rows of bars: what was waited for, and when. Pure. */
import { strings } from '../strings.ts';
import { duration, size } from './format.ts';

type Maybe = number | null;

export interface Gaps {
  count: number;
  ms: number;
  longest: { start_ms: number; ms: number }[];
}

export interface Attempt {
  number: number;
  why: string;
  provider: string;
  model: string;
  state: string;
  code: string | null;
  status: Maybe;
  start_ms: number;
  sent_ms: Maybe;
  headers_ms: Maybe;
  first_frame_ms: Maybe;
  end_ms: Maybe;
  reused: boolean | null;
  bytes: { out: Maybe; in: Maybe };
  gaps: Gaps | null;
}

export interface Wait {
  kind: string;
  start_ms: number;
  end_ms: Maybe;
  code: string | null;
}

export interface Stop {
  by: string | null;
  at_ms: number;
  closed_ms: Maybe;
  asked_provider: boolean;
  tokens_not_written_at_most: Maybe;
  estimated: boolean;
  cost_not_spent_at_most: Maybe;
}

export interface Flight {
  id: string;
  dialect: string;
  model: string;
  stream: boolean;
  state: string;
  code: string | null;
  now_ms: number;
  end_ms: Maybe;
  bytes: { in: Maybe; out: Maybe };
  waits: Wait[];
  attempts: Attempt[];
  attempts_left_out: number;
  stop: Stop | null;
  content: { question: string; answer: string; most_bytes: number } | null;
}

export type Kind = 'connecting' | 'sent' | 'first' | 'answer' | 'gap' | 'wait';

/** A part of a bar, in hundredths of the whole. */
export interface Part {
  kind: Kind;
  from: number;
  width: number;
}

export interface Row {
  key: string;
  label: string;
  about: string;
  note: string;
  failed: boolean;
  parts: Part[];
  /** The bar in words. */
  said: string;
}

const words = strings.flight;

interface Span {
  kind: Kind;
  start: number;
  end: number;
}

function part({ kind, start, end }: Span, whole: number): Part {
  return { kind, from: (100 * start) / whole, width: Math.max(0.4, (100 * (end - start)) / whole) };
}

const said = ({ kind, start, end }: Span): string => `${words.kinds[kind]} ${duration(end - start)}`;

/** What was reached, each part until the next begins. */
function spans(attempt: Attempt, end: number): Span[] {
  const reached: [Kind, Maybe][] = [['connecting', attempt.start_ms], ['sent', attempt.sent_ms], ['first', attempt.headers_ms], ['answer', attempt.first_frame_ms]];
  const there = reached.filter((one): one is [Kind, number] => one[1] !== null);
  return there.map(([kind, start], index) => ({ kind, start, end: there[index + 1]?.[1] ?? end }));
}

function ofAttempt(attempt: Attempt, now: number): { row: Row; start: number } {
  const end = attempt.end_ms ?? now;
  const main = spans(attempt, end);
  const gaps = (attempt.gaps?.longest ?? []).map(({ start_ms, ms }): Span => ({ kind: 'gap', start: start_ms, end: start_ms + ms }));
  const failed = attempt.state === 'failed';
  const how = failed ? (attempt.status && attempt.status >= 400 ? String(attempt.status) : (attempt.code ?? '')) : (words.states[attempt.state] ?? '');
  const sizes = attempt.bytes.out === null ? [] : [words.sent(size(attempt.bytes.out)), ...(attempt.bytes.in === null ? [] : [words.received(size(attempt.bytes.in))])];
  const silent = attempt.gaps?.count ? [words.gaps(attempt.gaps.count, duration(attempt.gaps.ms))] : [];
  return {
    start: attempt.start_ms,
    row: {
      key: `attempt ${attempt.number}`,
      label: `${attempt.number}. ${words.why[attempt.why] ?? attempt.why}`,
      about: `${attempt.provider}/${attempt.model}`,
      note: [duration(end - attempt.start_ms), how].filter(Boolean).join(' · '),
      failed,
      parts: [...main, ...gaps].map((one) => part(one, Math.max(1, now))),
      said: [...main.map(said), ...silent, ...sizes, ...(attempt.reused ? [words.reused] : [])].join(', '),
    },
  };
}

function ofWait(wait: Wait, index: number, now: number): { row: Row; start: number } {
  const span: Span = { kind: 'wait', start: wait.start_ms, end: wait.end_ms ?? now };
  const row = {
    key: `wait ${index}`,
    label: words.waits[wait.kind] ?? wait.kind,
    about: wait.code ? words.after(wait.code) : '',
    note: duration(span.end - span.start),
    failed: false,
    parts: [part(span, Math.max(1, now))],
    said: '',
  };
  return { row, start: wait.start_ms };
}

export function rows(flight: Flight): Row[] {
  const now = flight.end_ms ?? flight.now_ms;
  const all = [...flight.waits.map((one, index) => ofWait(one, index, now)), ...flight.attempts.map((one) => ofAttempt(one, now))];
  return all.sort((one, other) => one.start - other.start).map(({ row }) => row);
}
