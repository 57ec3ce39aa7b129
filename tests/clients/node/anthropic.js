// Anthropic's official client for Node: create, and the stream with its helpers.

import Anthropic from "@anthropic-ai/sdk";

import { speak, weather } from "./speak.js";

const TOOLS = [
  {
    name: "get_weather",
    description: "The weather of one city.",
    input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
];

const client = ({ base_url, key }) =>
  new Anthropic({ baseURL: base_url.replace(/\/v1$/, ""), apiKey: key, maxRetries: 0 });
const user = (content) => ({ role: "user", content });
const asking = (model, content) => ({ model, max_tokens: 1000, messages: [user(content)] });
const textOf = (message) => message.content.filter((block) => block.type === "text").map((block) => block.text).join("");
const counted = ({ usage }) => [usage.input_tokens + (usage.cache_read_input_tokens ?? 0), usage.output_tokens];
const callsOf = (message) => message.content.filter((block) => block.type === "tool_use");

async function chat({ text, model, ...where }) {
  const answer = await client(where).messages.create(asking(model, text));
  return { text: textOf(answer), usage: counted(answer) };
}

async function image({ text, data, model, ...where }) {
  const picture = { type: "image", source: { type: "base64", media_type: "image/png", data } };
  const asked = asking(model, [{ type: "text", text }, picture]);
  const answer = await client(where).messages.create({ ...asked, tools: TOOLS });
  return { calls: callsOf(answer).map((call) => call.input.city) };
}

async function stream({ text, model, ...where }) {
  const running = client(where).messages.stream(asking(model, text));
  let pieces = 0;
  running.on("text", () => (pieces += 1));
  const answer = await running.finalMessage();
  return { text: textOf(answer), pieces, usage: counted(answer) };
}

async function tools({ questions, streamed, model, ...where }) {
  const asked = { model, max_tokens: 1000, tools: TOOLS };
  const answers = [];
  const messages = [];
  for (const question of questions) {
    messages.push(user(question));
    for (;;) {
      const said = { ...asked, messages };
      const { messages: api } = client(where);
      const answer = streamed ? await api.stream(said).finalMessage() : await api.create(said);
      messages.push({ role: "assistant", content: answer.content });
      const calls = callsOf(answer);
      if (calls.length === 0) {
        answers.push(textOf(answer));
        break;
      }
      messages.push(
        user(calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: weather(call.input) }))),
      );
    }
  }
  return { answers };
}

async function cancel({ text, until, model, ...where }) {
  const running = client(where).messages.stream(asking(model, text));
  let read = "";
  try {
    for await (const event of running) {
      if (event.delta?.type === "text_delta") read += event.delta.text;
      if (read === until) running.abort();
    }
  } catch (error) {
    if (!(error instanceof Anthropic.APIUserAbortError)) throw error;
  }
  return { text: read };
}

await speak({ chat, image, stream, tools, cancel });
