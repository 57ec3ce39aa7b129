// The official OpenAI client for Node over Responses: create, stream, and parsing by a schema.

import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

import { speak, weather } from "./speak.js";

const Forecast = z.object({ city: z.string(), degrees: z.int() });
const TOOLS = [
  {
    type: "function",
    name: "get_weather",
    description: "The weather of one city.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
    strict: true,
  },
];

const client = ({ base_url, key }) => new OpenAI({ baseURL: base_url, apiKey: key, maxRetries: 0 });
const counted = ({ usage }) => [usage.input_tokens, usage.output_tokens];
const callsOf = (response) => response.output.filter((item) => item.type === "function_call");

async function chat({ text, model, ...where }) {
  const answer = await client(where).responses.create({ model, input: text });
  return { text: answer.output_text, usage: counted(answer) };
}

async function image({ text, data, model, ...where }) {
  const picture = { type: "input_image", detail: "auto", image_url: `data:image/png;base64,${data}` };
  const input = [{ role: "user", content: [{ type: "input_text", text }, picture] }];
  const answer = await client(where).responses.create({ model, input, tools: TOOLS });
  return { calls: callsOf(answer).map((call) => JSON.parse(call.arguments).city) };
}

async function stream({ text, model, ...where }) {
  const running = client(where).responses.stream({ model, input: text });
  let pieces = 0;
  running.on("response.output_text.delta", () => (pieces += 1));
  const answer = await finished(running);
  return { text: answer.output_text, pieces, usage: counted(answer) };
}

/** The helper gives what there is of a response that failed or was cut; whoever uses it must look at its status. */
async function finished(running) {
  const answer = await running.finalResponse();
  if (answer.status !== "completed") throw new Error(answer.error?.message ?? `The response is ${answer.status}.`);
  return answer;
}

async function tools({ questions, streamed, model, ...where }) {
  const answers = [];
  const input = [];
  for (const question of questions) {
    input.push({ role: "user", content: question });
    for (;;) {
      const asked = { model, input, tools: TOOLS, store: false, include: ["reasoning.encrypted_content"] };
      const { responses } = client(where);
      const answer = streamed ? await finished(responses.stream(asked)) : await responses.create(asked);
      input.push(...answer.output);
      const calls = callsOf(answer);
      if (calls.length === 0) {
        answers.push(answer.output_text);
        break;
      }
      for (const { call_id, arguments: said } of calls) {
        input.push({ type: "function_call_output", call_id, output: weather(JSON.parse(said)) });
      }
    }
  }
  return { answers };
}

async function parse({ text, model, ...where }) {
  const asked = { model, input: text, text: { format: zodTextFormat(Forecast, "forecast") } };
  const answer = await client(where).responses.parse(asked);
  return { parsed: answer.output_parsed };
}

async function cancel({ text, until, model, ...where }) {
  const events = await client(where).responses.create({ model, input: text, stream: true });
  let read = "";
  for await (const event of events) {
    if (event.type === "response.output_text.delta") read += event.delta;
    if (read === until) events.controller.abort();
  }
  return { text: read };
}

await speak({ chat, image, stream, tools, parse, cancel });
