// A client as a program: reads one JSON request a line, does it with its SDK, and writes one JSON reply a line.
// The counterpart of programs/speak.py.

import { createInterface } from "node:readline";

/** The tool of every client. */
export const weather = ({ city }) => `${city}: 21 degrees`;

/** Serves requests until the input ends. */
export async function speak(verbs) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { verb, ...request } = JSON.parse(line);
    process.stdout.write(JSON.stringify(await reply(verbs[verb], request)) + "\n");
  }
}

async function reply(verb, request) {
  try {
    return await verb(request);
  } catch (error) {
    console.error(error);
    return { error: told(error) };
  }
}

function told(error) {
  return {
    classes: classes(error),
    status: error.status ?? error.statusCode ?? null,
    code: error.code ?? error.data?.error?.code ?? error.error?.code ?? null,
    message: String(error.message),
  };
}

/** The names of the error's classes, the most special first; some SDKs tell kinds by `name` alone. */
function classes(error) {
  const names = [error.name];
  for (let kind = error.constructor; kind?.name; kind = Object.getPrototypeOf(kind)) names.push(kind.name);
  return names;
}
