/** Generated sound as a file that a browser plays. */

/** What providers send where they name no format: 16 bits, one channel. */
const RATE = 24_000;

const KINDS: [begins: string, type: string][] = [['RIFF', 'audio/wav'], ['ID3', 'audio/mpeg'], ['OggS', 'audio/ogg'], ['fLaC', 'audio/flac']];

export function bytes(data: string | string[]): Uint8Array<ArrayBuffer> {
  const pieces = [data].flat().map((piece) => atob(piece.replace(/=+$/, '')));
  const all = new Uint8Array(pieces.reduce((size, { length }) => size + length, 0));
  let at = 0;
  for (const piece of pieces) for (let index = 0; index < piece.length; index++) all[at++] = piece.charCodeAt(index);
  return all;
}

/** The head of a WAV file. */
function head(size: number): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(44));
  const say = (at: number, text: string): void => [...text].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  say(0, 'RIFF');
  view.setUint32(4, 36 + size, true);
  say(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, RATE, true);
  view.setUint32(28, RATE * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  say(36, 'data');
  view.setUint32(40, size, true);
  return new Uint8Array(view.buffer);
}

function file(data: string | string[]): { type: string; pieces: Uint8Array<ArrayBuffer>[] } {
  const all = bytes(data);
  const beginning = String.fromCharCode(...all.subarray(0, 4));
  const isMp3 = all[0] === 0xff && ((all[1] ?? 0) & 0xe0) === 0xe0 && ((all[1] ?? 0) & 0x06) !== 0;
  const known = KINDS.find(([begins]) => beginning.startsWith(begins))?.[1] ?? (isMp3 ? 'audio/mpeg' : null);
  return known ? { type: known, pieces: [all] } : { type: 'audio/wav', pieces: [head(all.length), all] };
}

export function playable(data: string | string[]): Blob {
  const { type, pieces } = file(data);
  return new Blob(pieces, { type });
}

/** The same as an address that holds it. */
export function soundUrl(data: string | string[]): string {
  const { type, pieces } = file(data);
  const letters = pieces.flatMap((piece) => Array.from(piece, (byte) => String.fromCharCode(byte)));
  return `data:${type};base64,${btoa(letters.join(''))}`;
}
