/** A table as comma-separated values (RFC 4180). Pure but for reading the table. */

/** A cell that a spreadsheet would take for a formula is a model's words, and none: an apostrophe in front makes it text. */
function cell(text: string): string {
  const plain = text.trim();
  const safe = /^[=+\-@\t]/.test(plain) && !/^[+-]?[\d.,\s]+%?$/.test(plain) ? `'${plain}` : plain;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export const csv = (rows: string[][]): string => rows.map((row) => `${row.map(cell).join(',')}\r\n`).join('');

export function rowsOf(table: HTMLTableElement): string[][] {
  return [...table.rows].map((row) => [...row.cells].map(({ textContent }) => textContent ?? ''));
}
