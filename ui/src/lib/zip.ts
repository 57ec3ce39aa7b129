/** Reads single files out of a ZIP, by the browser's own inflater. */

const END = 0x06054b50;
const CENTRAL = 0x02014b50;
/** What a file may come to: a few bytes may claim to be gigabytes. */
const MOST = 256 * 1024 * 1024;

interface Entry {
  name: string;
  method: number;
  packed: number;
  at: number;
}

function endOf(view: DataView): number {
  for (let at = view.byteLength - 22; at >= Math.max(0, view.byteLength - 65_558); at--) if (view.getUint32(at, true) === END) return at;
  return -1;
}

function directory(bytes: Uint8Array): Entry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = endOf(view);
  if (end < 0) return [];
  const found: Entry[] = [];
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0 && at + 46 <= bytes.length && view.getUint32(at, true) === CENTRAL; left--) {
    const [name, extra, comment] = [view.getUint16(at + 28, true), view.getUint16(at + 30, true), view.getUint16(at + 32, true)];
    found.push({
      name: new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + name)), method: view.getUint16(at + 10, true), packed: view.getUint32(at + 20, true), at: view.getUint32(at + 42, true),
    });
    at += 46 + name + extra + comment;
  }
  return found;
}

async function inflated(packed: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([packed as BlobPart]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  const pieces: Uint8Array[] = [];
  let size = 0;
  const reader = stream.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    size += next.value.length;
    if (size > MOST) throw new Error('too large');
    pieces.push(next.value);
  }
  return new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer());
}

function read(bytes: Uint8Array, { at, method, packed: size }: Entry): Promise<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = at + 30 + view.getUint16(at + 26, true) + view.getUint16(at + 28, true);
  const packed = bytes.subarray(start, start + size);
  return method === 0 ? Promise.resolve(packed) : inflated(packed);
}

/** The files whose names are wanted, by name. */
export async function entries(bytes: Uint8Array, wanted: (name: string) => boolean): Promise<Uint8Array[]> {
  const found = directory(bytes).filter(({ name }) => wanted(name)).sort((a, b) => (a.name < b.name ? -1 : 1));
  return Promise.all(found.map((one) => read(bytes, one)));
}

/** The first file whose name is wanted; null where there is none. */
export async function entry(bytes: Uint8Array, wanted: (name: string) => boolean): Promise<Uint8Array | null> {
  const found = directory(bytes).find(({ name }) => wanted(name));
  return found ? read(bytes, found) : null;
}
