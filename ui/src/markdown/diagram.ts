/**
 * Diagrams in mermaid's language. They are drawn in the sandboxed frame of previews (preview.html), which has no network and nothing of
 * ours in reach, and come back as SVG that is shown as an image: whatever a diagram says, nothing of it runs in the page.
 */
import library from '../../node_modules/.mermaid/mermaid.bin?url';
import { strings } from '../strings.ts';
import { preview } from './preview.ts';

const PATIENCE_MS = 30_000;

/** Runs in the frame, after the library. The drawing is made well-formed XML with a size, as an image needs it. */
const DRAW = `
addEventListener('message', async ({ source, data }) => {
  if (source !== parent) return;
  try {
    mermaid.initialize({ startOnLoad: false, securityLevel: 'strict', htmlLabels: false, flowchart: { htmlLabels: false }, suppressErrorRendering: true,
      theme: data.dark ? 'dark' : 'default', fontFamily: 'system-ui, sans-serif' });
    const { svg } = await mermaid.render('d' + data.id, data.text);
    const host = document.createElement('div');
    host.innerHTML = svg;
    const drawn = host.querySelector('svg');
    const [, , width, height] = drawn.getAttribute('viewBox').split(/[ ,]+/).map(Number);
    drawn.setAttribute('width', width);
    drawn.setAttribute('height', height);
    drawn.style.maxWidth = '';
    parent.postMessage({ id: data.id, width, height, svg: new XMLSerializer().serializeToString(drawn) }, '*');
  } catch (error) {
    parent.postMessage({ id: data.id, error: String(error && error.message || error) }, '*');
  }
});
parent.postMessage('drawing', '*');
`;

export interface Drawing {
  svg: string;
  width: number;
  height: number;
}

async function source(): Promise<string> {
  const response = await fetch(library);
  if (!response.ok || !response.body) throw new Error(strings.answer.diagramUnloaded);
  return new Response(response.body.pipeThrough(new DecompressionStream('gzip'))).text();
}

/** The frame, once it can draw. It is laid out, or letters would have no width, but out of sight. */
async function opened(): Promise<HTMLIFrameElement> {
  const script = (await source()).replaceAll('</script', '<\\/script');
  const frame = preview(`<!doctype html><body><script>${script}</script><script>${DRAW}</script>`);
  frame.className = 'drawing';
  frame.ariaHidden = 'true';
  frame.tabIndex = -1;
  const ready = heard(frame, (data) => data === 'drawing');
  document.body.append(frame);
  await ready;
  return frame;
}

/** The next word of the frame that is wanted. */
function heard(frame: HTMLIFrameElement, wanted: (data: unknown) => boolean): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      removeEventListener('message', hear);
      clearTimeout(late);
    };
    const hear = ({ source, data }: MessageEvent): void => {
      if (source !== frame.contentWindow || !wanted(data)) return;
      stop();
      resolve(data);
    };
    const late = setTimeout(() => {
      stop();
      reject(new Error(strings.answer.diagramLate));
    }, PATIENCE_MS);
    addEventListener('message', hear);
  });
}

let frame: Promise<HTMLIFrameElement> | null = null;
let before: Promise<unknown> = Promise.resolve();
let ids = 0;

async function drawnNow(text: string, dark: boolean): Promise<Drawing> {
  const id = (ids += 1);
  try {
    const there = await (frame ??= opened());
    const answer = heard(there, (data) => (data as { id?: unknown } | null)?.id === id);
    there.contentWindow?.postMessage({ id, text, dark }, '*');
    return checked((await answer) as Record<string, unknown>);
  } catch (error) {
    if (!(error instanceof NotDrawn)) close();
    throw error;
  }
}

/** A frame that does not answer is of no use for the next diagram either. */
function close(): void {
  void frame?.then((there) => there.remove(), () => undefined);
  frame = null;
}

class NotDrawn extends Error {}

/** What came out of the frame is no more to be trusted than what went in: it must be an SVG with a size. */
function checked({ svg, width, height, error }: Record<string, unknown>): Drawing {
  if (typeof svg !== 'string') throw new NotDrawn(String(error ?? '').slice(0, 500));
  if (!svg.startsWith('<svg') || !(Number(width) > 0) || !(Number(height) > 0)) throw new NotDrawn('');
  return { svg, width: Number(width), height: Number(height) };
}

/** One after the other. Rejects with an error whose message is for the reader. */
export function drawing(text: string, dark: boolean): Promise<Drawing> {
  const mine = before.then(() => drawnNow(text, dark));
  before = mine.catch(() => undefined);
  return mine;
}

export const address = (svg: string): string => `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;

/** As a PNG, twice as fine, on the page's ground. */
export async function png({ svg, width, height }: Drawing, ground: string): Promise<Blob> {
  const image = new Image();
  image.src = address(svg);
  await image.decode();
  const canvas = document.createElement('canvas');
  const scale = Math.min(2, 8000 / Math.max(width, height));
  [canvas.width, canvas.height] = [Math.ceil(width * scale), Math.ceil(height * scale)];
  const paper = canvas.getContext('2d');
  if (!paper) throw new Error('no canvas');
  paper.fillStyle = ground;
  paper.fillRect(0, 0, canvas.width, canvas.height);
  paper.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('no picture'))), 'image/png'));
}
