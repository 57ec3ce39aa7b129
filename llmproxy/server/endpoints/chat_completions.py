"""POST /v1/chat/completions."""

from __future__ import annotations

from functools import partial

from llmproxy.dialects.chat_completions.request import parse_chat

from .answer import answer

chat_completions = partial(answer, parse=parse_chat)
