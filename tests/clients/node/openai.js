// The official OpenAI client for Node: create, stream, the tool runner, and parsing by a schema.

import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

import { speak, weather } from "./speak.js";

const Forecast = z.object({ city: z.string(), degrees: z.int() });
const TOOLS = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "The weather of one city.",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
      parse: JSON.parse,
      function: weather,
    },
  },
];

const client = ({ base_url, key }) => new OpenAI({ baseURL: base_url, apiKey: key });
const user = (text) => ({ role: "user", content: text });
const counted = (usage) => [usage.prompt_tokens, usage.completion_tokens];

async function models(where) {
  const ids = [];
  for await (const model of client(where).models.list()) ids.push(model.id);
  return { ids };
}

async function chat({ text, model, ...where }) {
  const answer = await client(where).chat.completions.create({ model, messages: [user(text)] });
  return { text: answer.choices[0].message.content, usage: counted(answer.usage) };
}

async function stream({ text, model, ...where }) {
  const asked = { model, messages: [user(text)], stream_options: { include_usage: true } };
  const runner = client(where).chat.completions.stream(asked);
  let pieces = 0;
  runner.on("content", () => (pieces += 1));
  const answer = await runner.finalChatCompletion();
  return { text: answer.choices[0].message.content, pieces, usage: counted(answer.usage) };
}

async function tools({ questions, streamed, model, ...where }) {
  const answers = [];
  let messages = [];
  for (const question of questions) {
    const asked = { model, messages: [...messages, user(question)], tools: TOOLS, stream: streamed };
    const runner = client(where).chat.completions.runTools(asked);
    answers.push(await runner.finalContent());
    messages = runner.messages;
  }
  return { answers };
}

async function parse({ text, model, ...where }) {
  const response_format = zodResponseFormat(Forecast, "forecast");
  const answer = await client(where).chat.completions.parse({ model, messages: [user(text)], response_format });
  return { parsed: answer.choices[0].message.parsed };
}

async function stop({ text, model, ...where }) {
  const pieces = await client(where).chat.completions.create({ model, messages: [user(text)], stream: true });
  for await (const piece of pieces) {
    const { content } = piece.choices[0].delta;
    if (content) return { text: content };
  }
}

async function cancel({ text, until, model, ...where }) {
  const pieces = await client(where).chat.completions.create({ model, messages: [user(text)], stream: true });
  let read = "";
  for await (const piece of pieces) {
    read += piece.choices[0].delta.content;
    if (read === until) pieces.controller.abort();
  }
  return { text: read };
}

await speak({ models, chat, stream, tools, parse, stop, cancel });
