// The Vercel AI SDK with its provider for OpenAI-compatible servers.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";

import { speak } from "./speak.js";
import { verbs } from "./vercel_verbs.js";

function modelOf({ base_url, key, model }) {
  const options = { name: "gateway", baseURL: base_url, apiKey: key, includeUsage: true, supportsStructuredOutputs: true };
  return createOpenAICompatible(options)(model);
}

await speak(verbs(modelOf));
