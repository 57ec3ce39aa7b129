// What the Vercel AI SDK is asked to do, with whatever provider of its; it runs the tools itself.

import { generateText, isStepCount, Output, streamText, tool } from "ai";
import { z } from "zod";

import { weather } from "./speak.js";

const Forecast = z.object({ city: z.string(), degrees: z.int() });
const TOOLS = {
  get_weather: tool({
    description: "The weather of one city.",
    inputSchema: z.object({ city: z.string() }),
    execute: weather,
  }),
};

/** The verbs, with models as `modelOf` makes them; without retries, so that an error is the gateway's own. */
export function verbs(modelOf) {
  const asking = (where) => ({ model: modelOf(where), maxRetries: 0 });

  /** streamText tells failures in the stream, and to this callback. */
  function watching() {
    const seen = {};
    return { seen, onError: ({ error }) => (seen.error = error) };
  }

  const counted = (usage) => [usage.inputTokens, usage.outputTokens];

  async function chat({ text, ...where }) {
    const answer = await generateText({ ...asking(where), prompt: text });
    return { text: answer.text, usage: counted(answer.usage) };
  }

  async function stream({ text, ...where }) {
    const { seen, onError } = watching();
    const answer = streamText({ ...asking(where), prompt: text, onError });
    const pieces = await all(answer.textStream);
    if (seen.error) throw seen.error;
    return { text: pieces.join(""), pieces: pieces.length, usage: counted(await answer.usage) };
  }

  async function tools({ questions, streamed, ...where }) {
    const answers = [];
    let messages = [];
    for (const question of questions) {
      messages = [...messages, { role: "user", content: question }];
      const asked = { ...asking(where), messages, tools: TOOLS, stopWhen: isStepCount(5) };
      const { text, made } = streamed ? await streamedText(asked) : await wholeText(asked);
      answers.push(text);
      messages = [...messages, ...made];
    }
    return { answers };
  }

  async function wholeText(asked) {
    const answer = await generateText(asked);
    return { text: answer.text, made: answer.responseMessages };
  }

  async function streamedText(asked) {
    const { seen, onError } = watching();
    const answer = streamText({ ...asked, onError });
    await all(answer.textStream);
    if (seen.error) throw seen.error;
    return { text: await answer.text, made: await answer.responseMessages };
  }

  async function image({ text, data, ...where }) {
    const picture = { type: "file", mediaType: "image/png", data };
    const messages = [{ role: "user", content: [{ type: "text", text }, picture] }];
    const answer = await generateText({ ...asking(where), messages, tools: TOOLS });
    return { calls: answer.toolCalls.map((call) => call.input.city) };
  }

  async function parse({ text, ...where }) {
    const answer = await generateText({ ...asking(where), prompt: text, output: Output.object({ schema: Forecast }) });
    return { parsed: answer.output };
  }

  async function cancel({ text, until, ...where }) {
    const aborting = new AbortController();
    let read = "";
    for await (const piece of streamText({ ...asking(where), prompt: text, abortSignal: aborting.signal }).textStream) {
      read += piece;
      if (read === until) aborting.abort();
    }
    return { text: read };
  }

  async function all(pieces) {
    const found = [];
    for await (const piece of pieces) found.push(piece);
    return found;
  }

  return { chat, image, stream, tools, parse, cancel };
}
