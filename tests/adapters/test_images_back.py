"""Images that a model made, as a client of another dialect gives them back: to whom they go, and who is told of their loss."""

from __future__ import annotations

import orjson
import pytest

from llmproxy.core import adapter_registry
from llmproxy.core.adapter import Account
from llmproxy.core.chat import Chat, Json, whole
from llmproxy.core.trace import Trace
from llmproxy.dialects.responses.dialect import DIALECT as RESPONSES
from llmproxy.dialects.responses.request import parse_response

PNG = "iVBORw0KGgo="


def responses() -> Chat:
    made = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": PNG}
    raw = orjson.dumps({"model": "m", "input": [_user("Draw"), made, _user("Redder")]})
    return RESPONSES.as_chat(parse_response(raw, Trace("req", 1700000000), dialect=RESPONSES))


def _user(text: str) -> Json:
    return {"role": "user", "content": text}


def asked(provider: str, chat: Chat) -> str:
    adapter = adapter_registry.build(provider, Account(provider, "http://up/v1", "k"))
    return whole(adapter.request(chat).body).decode()


@pytest.mark.parametrize("provider", ["gemini", "openrouter"])
def test_they_go_to_those_who_take_them(provider: str) -> None:
    chat = responses()
    assert PNG in asked(provider, chat)
    assert chat.trace.dropped == []


@pytest.mark.parametrize("provider", ["openai", "azure", "llamacpp", "compatible", "anthropic"])
def test_elsewhere_they_are_left_out_and_told(provider: str) -> None:
    chat = responses()
    assert PNG not in asked(provider, chat)
    assert chat.trace.dropped == ["messages.images"]
