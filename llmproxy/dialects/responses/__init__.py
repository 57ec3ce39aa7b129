"""OpenAI's Responses API as clients speak it: Codex, the Agents SDK, the Vercel AI SDK and OpenAI's own SDKs.

request.py reads a body, as_chat.py turns it into a chat (turns.py its items, tools.py its tools), encode_reply.py renders the
answer (items.py its items), watch.py passes on what a provider that speaks Responses says. Begin with dialect.py.
"""
