/** The page's side of the highlighting worker. */
import { Remote } from './remote.ts';

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

export const highlighter = new Remote<ToHighlight, Highlighted>(
  () => new Worker(new URL('./highlight.worker.ts', import.meta.url), { type: 'module' }),
);
