/** HTML and SVG of a model, run where nothing of ours and no network is in reach: a sandboxed frame with a policy of its own (preview.html). */
import { strings } from '../strings.ts';

/** The frame; what it shows is handed over when it says that it is there. */
export function preview(source: string): HTMLIFrameElement {
  const frame = document.createElement('iframe');
  frame.className = 'preview';
  frame.setAttribute('sandbox', 'allow-scripts');
  frame.title = strings.answer.previewTitle;
  const handOver = (event: MessageEvent): void => {
    if (event.source !== frame.contentWindow || event.data !== 'ready') return;
    removeEventListener('message', handOver);
    frame.contentWindow?.postMessage(source, '*');
  };
  addEventListener('message', handOver);
  frame.src = './preview.html';
  return frame;
}
