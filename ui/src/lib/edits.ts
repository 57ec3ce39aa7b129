/** Edits of questions that are being typed, kept in this tab for each question until they are sent or given up. */
const nameOf = (question: string): string => `llmproxy.edit.${question}`;

export function keepEdit(question: string, text: string): void {
  sessionStorage.setItem(nameOf(question), text);
}

export function dropEdit(question: string): void {
  sessionStorage.removeItem(nameOf(question));
}

export function keptEdit(question: string): string | null {
  return sessionStorage.getItem(nameOf(question));
}
