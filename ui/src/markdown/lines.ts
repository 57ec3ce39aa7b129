/** Highlighted HTML cut into lines: a span that runs over several is closed and opened again at each. */

export function lines(html: string): string[] {
  let open: string[] = [];
  return html.split('\n').map((line) => {
    const start = open.join('');
    for (const [tag] of line.matchAll(/<span[^>]*>|<\/span>/g)) {
      if (tag === '</span>') open = open.slice(0, -1);
      else open = [...open, tag];
    }
    return start + line + '</span>'.repeat(open.length);
  });
}
