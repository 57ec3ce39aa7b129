// The Vercel AI SDK with its provider for Anthropic.

import { createAnthropic } from "@ai-sdk/anthropic";

import { speak } from "./speak.js";
import { verbs } from "./vercel_verbs.js";

const modelOf = ({ base_url, key, model }) => createAnthropic({ baseURL: base_url, apiKey: key })(model);

await speak(verbs(modelOf));
