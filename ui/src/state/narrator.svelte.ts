/** What a screen reader hears of an answer: whole sentences, in order. */
import { sentences } from '../lib/sentences.ts';
import type { Message } from '../lib/types.ts';
import { strings } from '../strings.ts';

class Narrator {
  said = $state('');
  #answer = '';
  #next = 0;

  say(words: string): void {
    this.said = words;
  }

  hear(answer: Message): void {
    if (answer.id !== this.#answer) {
      this.#answer = answer.id;
      this.#next = 0;
    }
    const whole = answer.state !== 'streaming';
    const { spoken, next } = sentences(String(answer.content), this.#next, whole);
    this.#next = next;
    if (spoken) this.said = spoken;
    else if (whole && answer.state === 'complete') this.said = strings.answer.finished;
  }
}

export const narrator = new Narrator();
