/** The small builds of pdf.js are the same as the large one, whose types it has. */
declare module 'pdfjs-dist/build/pdf.min.mjs' {
  export * from 'pdfjs-dist';
}
