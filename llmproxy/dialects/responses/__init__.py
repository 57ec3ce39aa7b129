"""OpenAI's Responses API, as used by Codex, the Agents SDK, the Vercel AI SDK and OpenAI's own SDKs.

request.py parses a body, as_chat.py translates it to a chat request (turns.py its items, tools.py its tools),
encode_reply.py encodes the answer (items.py its items), watch.py passes on the answer of a provider that speaks
Responses. Begin with dialect.py.
"""
