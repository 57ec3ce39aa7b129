/** Tells the other tabs of this browser which thread has changed. */

const channel = new BroadcastChannel('llmproxy');

export function tellTabs(thread: string): void {
  channel.postMessage(thread);
}

export function whenTabsTell(listen: (thread: string) => void): void {
  channel.addEventListener('message', ({ data }: MessageEvent<string>) => listen(data));
}
