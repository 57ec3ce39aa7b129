/** Lucide's single drawings, which come without types. */
declare module 'lucide/dist/esm/icons/*.mjs' {
  const drawing: [tag: string, attributes: Record<string, string>][];
  export default drawing;
}
