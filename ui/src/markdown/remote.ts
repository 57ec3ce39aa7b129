/** A worker that is asked and answers, started with the first question. */

interface Numbered {
  id: number;
}

let ids = 0;
export const nextId = (): number => ++ids;

export class Remote<Question extends Numbered, Answer extends Numbered> {
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #worker: Worker | undefined;

  constructor(readonly start: () => Worker) {}

  /** One question at a time for each id. */
  ask(question: Question): Promise<Answer> {
    this.#worker ??= this.#started();
    this.#worker.postMessage(question);
    return new Promise((resolve) => this.#waiting.set(question.id, resolve));
  }

  #started(): Worker {
    const worker = this.start();
    worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => {
      const then = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      then?.(data);
    });
    return worker;
  }
}
