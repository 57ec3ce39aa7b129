/** Files as parts of a question: images scaled down, text as text, PDFs and audio as they are. */
import { fileAsText } from './content.ts';
import { size } from './format.ts';
import type { Input, Part } from './types.ts';
import { strings } from '../strings.ts';

/** Longer sides than this are scaled down: no provider looks at more, and all charge for it. */
const LONGEST_PX = 1568;
const MAX_BYTES = 20 * 1024 * 1024;
const MAX_TEXT = 1024 * 1024;

export interface Attachment {
  id: number;
  name: string;
  needs: Input;
  part: Part;
}

/** A file that no model could read, in words for its owner. */
export class Unfit extends Error {}

let ids = 0;

/** One of an earlier visit, whose number may be taken by now. */
export const renumbered = (one: Attachment): Attachment => ({ ...one, id: ++ids });

function dataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener('load', () => resolve(String(reader.result)));
    reader.addEventListener('error', () => reject(new Error(reader.error?.message)));
    reader.readAsDataURL(blob);
  });
}

async function scaled(file: Blob): Promise<Blob> {
  const bitmap = await createImageBitmap(file);
  const factor = Math.min(1, LONGEST_PX / Math.max(bitmap.width, bitmap.height));
  if (factor === 1 && /png|jpeg|webp|gif/.test(file.type)) return file;
  const canvas = new OffscreenCanvas(Math.round(bitmap.width * factor), Math.round(bitmap.height * factor));
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  // PNG keeps what may be transparent or a drawing; photographs come as JPEG and stay so.
  return canvas.convertToBlob(file.type === 'image/png' ? { type: 'image/png' } : { type: 'image/jpeg', quality: 0.88 });
}

async function image(file: File): Promise<Part> {
  return { type: 'image_url', image_url: { url: await dataUrl(await scaled(file)) } };
}

async function pdf(file: File): Promise<Part> {
  return { type: 'file', file: { filename: file.name, file_data: await dataUrl(file) } };
}

async function audio(file: File): Promise<Part> {
  const data = (await dataUrl(file)).split(',')[1] ?? '';
  return { type: 'input_audio', input_audio: { data, format: /wav/.test(file.type) ? 'wav' : 'mp3' } };
}

async function text(file: File): Promise<Part> {
  const unreadable = new Unfit(strings.attachments.unreadable(file.name));
  try {
    const content = new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer());
    if (content.includes('\0')) throw unreadable;
    return fileAsText({ name: file.name, text: content });
  } catch {
    throw unreadable;
  }
}

async function docx(file: File): Promise<Part> {
  const { docxText } = await import('./docx.ts');
  const content = await docxText(new Uint8Array(await file.arrayBuffer()));
  if (!content) throw new Unfit(strings.attachments.unreadable(file.name));
  return fileAsText({ name: file.name, text: content.slice(0, MAX_TEXT) });
}

/** A PDF as its words, for a model that takes no files. Raises Unfit for a scan, which has none. */
export async function pdfAsText(one: Attachment): Promise<Attachment> {
  if (one.part.type !== 'file') return one;
  const { file_data } = one.part.file;
  const unreadable = new Unfit(strings.attachments.wordless(one.name));
  try {
    const { pdfText } = await import('./pdf.ts');
    const bytes = Uint8Array.from(atob(file_data.slice(file_data.indexOf(',') + 1)), (letter) => letter.charCodeAt(0));
    const words = await pdfText(bytes);
    if (!words) throw unreadable;
    return { ...one, needs: 'text', part: fileAsText({ name: one.name, text: words.slice(0, MAX_TEXT) }) };
  } catch {
    throw unreadable;
  }
}

interface Kind {
  type: RegExp;
  needs: Input;
  limit: number;
  read: (file: File) => Promise<Part>;
}

const KINDS: Kind[] = [
  { type: /^image\/(?!svg)/, needs: 'image', limit: MAX_BYTES, read: image },
  { type: /^application\/pdf$/, needs: 'file', limit: MAX_BYTES, read: pdf },
  { type: /^application\/vnd\.openxmlformats-officedocument\.wordprocessingml\.document$/, needs: 'text', limit: MAX_BYTES, read: docx },
  { type: /^audio\/(x-)?(wav|wave|mpeg|mp3)$/, needs: 'audio', limit: MAX_BYTES, read: audio },
  { type: /^(?!image\/(?!svg)|audio\/|video\/)/, needs: 'text', limit: MAX_TEXT, read: text },
];

export async function attachment(file: File): Promise<Attachment> {
  const kind = KINDS.find(({ type }) => type.test(file.type));
  if (!kind) throw new Unfit(strings.attachments.unreadable(file.name));
  if (file.size > kind.limit) throw new Unfit(strings.attachments.tooBig(file.name, size(kind.limit)));
  const part = await kind.read(file).catch((error: unknown) => {
    throw error instanceof Unfit ? error : new Unfit(strings.attachments.unreadable(file.name));
  });
  return { id: ++ids, name: file.name, needs: kind.needs, part };
}
