/** Exports of this gateway and of other programs, as files of JSON for the gateway, which knows their formats. */
import { entries } from './zip.ts';

/** A large export of ChatGPT has several: conversations-000.json and so on. */
const CHATS = /(^|\/)(conversations(-\d+)?|llmproxy-chats)\.json$/;

/** The files of chats in an export: itself, or those in the ZIP that it came in. Empty where a ZIP has none. */
export async function chatFiles(file: Blob): Promise<Blob[]> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const zipped = bytes[0] === 0x50 && bytes[1] === 0x4b;
  if (!zipped) return [file];
  return (await entries(bytes, (name) => CHATS.test(name))).map((body) => new Blob([body as BlobPart]));
}

/** Counts of several answers as one. */
export function summed(all: Record<string, number>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const one of all) for (const [kind, count] of Object.entries(one)) sum[kind] = (sum[kind] ?? 0) + count;
  return sum;
}
