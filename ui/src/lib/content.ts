/** A message's content taken apart: its words, and what was attached to them. */
import type { Content, Part } from './types.ts';

export interface TextFile {
  name: string;
  text: string;
}

const FILE = /^<file name="([^"]*)">\n([\s\S]*)\n<\/file>$/;

/** A text file travels as text, since every model can read that. */
export function fileAsText({ name, text }: TextFile): Part {
  return { type: 'text', text: `<file name="${name.replaceAll('"', "'")}">\n${text}\n</file>` };
}

export function asFile(part: Part): TextFile | null {
  const match = part.type === 'text' ? FILE.exec(part.text) : null;
  return match ? { name: match[1] ?? '', text: match[2] ?? '' } : null;
}

export function parts(content: Content): Part[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content;
}

export function words(content: Content): string {
  const texts = parts(content).filter((part) => part.type === 'text' && !asFile(part));
  return texts.map((part) => (part.type === 'text' ? part.text : '')).join('\n\n');
}

export function attached(content: Content): Part[] {
  return parts(content).filter((part) => part.type !== 'text' || asFile(part));
}

/** Plain text stays a plain string; it is the form every provider takes. */
export function joined(text: string, attachments: Part[]): Content {
  if (attachments.length === 0) return text;
  return text ? [{ type: 'text', text }, ...attachments] : attachments;
}

/** A title made of a question's first words, without the files among them. */
export function withoutFiles(title: string): string {
  return title.replace(/\s*<file name="([^"]*)">[\s\S]*/, (_, name: string, at: number) => (at === 0 ? name : ''));
}
