// LangChain for JavaScript: ChatOpenAI with a base URL, tools bound, messages kept as LangChain makes them.

import { AIMessageChunk, HumanMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";

import { speak, weather } from "./speak.js";

const Forecast = z.object({ city: z.string(), degrees: z.int() });
const getWeather = tool(weather, {
  name: "get_weather",
  description: "The weather of one city.",
  schema: z.object({ city: z.string() }),
});

const llm = ({ base_url, key, model }) =>
  new ChatOpenAI({ model, apiKey: key, configuration: { baseURL: base_url }, streamUsage: true, maxRetries: 0 });
const counted = (message) => [message.usage_metadata.input_tokens, message.usage_metadata.output_tokens];

async function chat({ text, ...where }) {
  const answer = await llm(where).invoke(text);
  return { text: answer.content, usage: counted(answer) };
}

async function stream({ text, ...where }) {
  let whole = new AIMessageChunk({ content: "" });
  let pieces = 0;
  for await (const piece of await llm(where).stream(text)) {
    whole = whole.concat(piece);
    pieces += piece.content ? 1 : 0;
  }
  return { text: whole.content, pieces, usage: counted(whole) };
}

async function tools({ questions, streamed, ...where }) {
  const model = llm(where).bindTools([getWeather]);
  const messages = [];
  const answers = [];
  for (const question of questions) {
    messages.push(new HumanMessage(question));
    let message;
    while ((message = await said(model, messages, streamed)).tool_calls?.length) {
      messages.push(message, ...(await Promise.all(message.tool_calls.map((call) => getWeather.invoke(call)))));
    }
    messages.push(message);
    answers.push(message.content);
  }
  return { answers };
}

async function said(model, messages, streamed) {
  if (!streamed) return model.invoke(messages);
  let whole;
  for await (const piece of await model.stream(messages)) whole = whole ? whole.concat(piece) : piece;
  return whole;
}

async function parse({ text, ...where }) {
  const options = { method: "jsonSchema", strict: true };
  return { parsed: await llm(where).withStructuredOutput(Forecast, options).invoke(text) };
}

async function stop({ text, ...where }) {
  for await (const piece of await llm(where).stream(text)) {
    if (piece.content) return { text: piece.content };
  }
}

async function cancel({ text, until, ...where }) {
  const aborting = new AbortController();
  let read = "";
  try {
    for await (const piece of await llm(where).stream(text, { signal: aborting.signal })) {
      read += piece.content;
      if (read === until) aborting.abort();
    }
  } catch (error) {
    if (!aborting.signal.aborted) throw error;
  }
  return { text: read };
}

await speak({ chat, stream, tools, parse, stop, cancel });
