// The Vercel AI SDK with its provider for OpenAI, as it is by default: over Responses, with items by reference.

import { createOpenAI } from "@ai-sdk/openai";

import { speak } from "./speak.js";
import { verbs } from "./vercel_verbs.js";

const modelOf = ({ base_url, key, model }) => createOpenAI({ baseURL: base_url, apiKey: key }).responses(model);

await speak(verbs(modelOf));
