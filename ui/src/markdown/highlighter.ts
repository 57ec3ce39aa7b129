/** The page's side of the highlighting worker, which starts with the first block of code. */

export interface ToHighlight {
  id: number;
  code: string;
  language: string;
  final: boolean;
}

export interface Highlighted {
  id: number;
  /** Lines before this one are as they were. */
  from: number;
  lines: string[];
}

type Waiting = (answer: Highlighted) => void;

const waiting = new Map<number, Waiting>();
let worker: Worker | undefined;
let ids = 0;

function start(): Worker {
  const started = new Worker(new URL('./highlight.worker.ts', import.meta.url), { type: 'module' });
  started.addEventListener('message', ({ data }: MessageEvent<Highlighted>) => {
    const then = waiting.get(data.id);
    waiting.delete(data.id);
    then?.(data);
  });
  return started;
}

export const nextId = (): number => ++ids;

/** One question at a time for each id. */
export function highlight(question: ToHighlight): Promise<Highlighted> {
  worker ??= start();
  worker.postMessage(question);
  return new Promise((resolve) => waiting.set(question.id, resolve));
}
