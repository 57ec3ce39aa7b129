// Google's official client for Node, @google/genai: generateContent and its stream.

import { GoogleGenAI } from "@google/genai";

import { speak, weather } from "./speak.js";

const TOOLS = [
  {
    functionDeclarations: [
      {
        name: "get_weather",
        description: "The weather of one city.",
        parametersJsonSchema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
      },
    ],
  },
];

const client = ({ base_url, key }) =>
  new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: base_url.replace(/\/v1$/, "") } });
const user = (...parts) => ({ role: "user", parts });
const counted = ({ usageMetadata }) => [
  usageMetadata.promptTokenCount,
  (usageMetadata.candidatesTokenCount ?? 0) + (usageMetadata.thoughtsTokenCount ?? 0),
];

async function chat({ text, model, ...where }) {
  const answer = await client(where).models.generateContent({ model, contents: text });
  return { text: answer.text, usage: counted(answer) };
}

async function image({ text, data, model, ...where }) {
  const contents = [user({ text }, { inlineData: { mimeType: "image/png", data } })];
  const answer = await client(where).models.generateContent({ model, contents, config: { tools: TOOLS } });
  return { calls: (answer.functionCalls ?? []).map((call) => call.args.city) };
}

async function stream({ text, model, ...where }) {
  const said = [];
  let last;
  for await (const piece of await client(where).models.generateContentStream({ model, contents: text })) {
    if (piece.text) said.push(piece.text);
    last = piece;
  }
  if (!last?.candidates?.[0]?.finishReason) throw new Error("The stream ended before it was complete.");
  return { text: said.join(""), pieces: said.length, usage: counted(last) };
}

async function tools({ questions, streamed, model, ...where }) {
  const answers = [];
  const contents = [];
  for (const question of questions) {
    contents.push(user({ text: question }));
    for (;;) {
      const parts = await said({ model, contents, config: { tools: TOOLS } }, streamed, where);
      contents.push({ role: "model", parts });
      const calls = parts.filter((part) => part.functionCall).map((part) => part.functionCall);
      if (calls.length === 0) {
        answers.push(parts.filter((part) => !part.thought).map((part) => part.text ?? "").join(""));
        break;
      }
      contents.push(
        user(
          ...calls.map(({ id, name, args }) => ({
            functionResponse: { ...(id ? { id } : {}), name, response: { output: weather(args) } },
          })),
        ),
      );
    }
  }
  return { answers };
}

async function said(asked, streamed, where) {
  const { models } = client(where);
  if (!streamed) return (await models.generateContent(asked)).candidates[0].content.parts;
  const parts = [];
  for await (const piece of await models.generateContentStream(asked)) {
    parts.push(...(piece.candidates?.[0]?.content?.parts ?? []));
  }
  return parts;
}

async function cancel({ text, until, model, ...where }) {
  const aborting = new AbortController();
  const asked = { model, contents: text, config: { abortSignal: aborting.signal } };
  let read = "";
  try {
    for await (const piece of await client(where).models.generateContentStream(asked)) {
      read += piece.text ?? "";
      if (read === until) aborting.abort();
    }
  } catch (error) {
    if (!aborting.signal.aborted) throw error;
  }
  return { text: read };
}

await speak({ chat, image, stream, tools, cancel });
