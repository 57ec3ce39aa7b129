/** Edits of questions that are being typed, kept in this tab for each question until they are sent or given up, or the key is forgotten. */
const PREFIX = 'llmproxy.edit.';

/** Without room for it, the edit is lost if the chat is left. */
export function keepEdit(question: string, text: string): void {
  try {
    sessionStorage.setItem(PREFIX + question, text);
  } catch {
    dropEdit(question);
  }
}

export function dropEdit(question: string): void {
  sessionStorage.removeItem(PREFIX + question);
}

export function dropEdits(): void {
  for (const name of Object.keys(sessionStorage)) if (name.startsWith(PREFIX)) sessionStorage.removeItem(name);
}

export function keptEdit(question: string): string | null {
  return sessionStorage.getItem(PREFIX + question);
}
