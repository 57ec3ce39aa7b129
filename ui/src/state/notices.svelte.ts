/** Short words at the edge of the page, some with a way back. */

export interface Notice {
  id: number;
  text: string;
  action?: { label: string; run: () => void };
}

const STAYS_MS = 8000;

let ids = 0;

class Notices {
  all = $state.raw<Notice[]>([]);

  say(text: string, action?: Notice['action']): void {
    const id = ++ids;
    this.all = [...this.all, action ? { id, text, action } : { id, text }];
    setTimeout(() => this.dismiss(id), STAYS_MS);
  }

  dismiss(id: number): void {
    this.all = this.all.filter((notice) => notice.id !== id);
  }
}

export const notices = new Notices();
