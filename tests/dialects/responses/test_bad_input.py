"""Whatever a client sends is answered with a chat or a refusal, never with a failure of the gateway's."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest
from llmproxy.core.trace import Trace
from llmproxy.dialects.responses.dialect import DIALECT
from llmproxy.dialects.responses.pass_on import passed, suits
from llmproxy.dialects.responses.request import parse_response
from llmproxy.dialects.responses.turns import CALLS, OUTPUTS
from tests.thorough import examples

KINDS = [
    "message", "reasoning", "additional_tools", "configuration_update", "compaction", "item_reference", "web_search_call",
    "tool_search_output", "hologram", *CALLS, *OUTPUTS,
]  # fmt: skip
NAMES = [
    "type", "role", "content", "text", "summary", "encrypted_content", "call_id", "id", "name", "namespace", "arguments",
    "input", "output", "tools", "image_url", "file_data", "file_id", "format", "effort", "action", "operation", "mode",
    "parameters", "description", "strict", "input_audio", "refusal", "detail", "filename", "schema", "definition",
]  # fmt: skip
WORDS = [
    "user", "assistant", "developer", "input_text", "output_text", "input_image", "input_file", "refusal", "function",
    "custom", "namespace", "grammar", "json_schema", "allowed_tools", "auto", "llmproxy.1.x", "{", "a" * 70, "",
]  # fmt: skip
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-2, 9), st.floats(0, 1), st.sampled_from(WORDS))
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
)
ITEMS = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    st.sampled_from(KINDS) | VALUES,
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6),
)
MEMBERS = [
    "instructions", "tools", "tool_choice", "text", "reasoning", "include", "top_logprobs", "max_output_tokens", "store",
    "previous_response_id", "prompt", "background", "truncation", "parallel_tool_calls", "temperature", "metadata",
]  # fmt: skip
BODIES = st.builds(
    lambda items, rest: {**rest, "model": "m", "input": items},
    VALUES | st.lists(ITEMS, max_size=4),
    st.dictionaries(st.sampled_from(MEMBERS), VALUES, max_size=4),
)


class Server:
    """An adapter, as far as it is asked here."""

    keeps_responses = False


def asked(body: Json) -> Chat | None:
    try:
        return parse_response(orjson.dumps(body), Trace("req", 1700000000), dialect=DIALECT)
    except BadRequest:
        return None


@examples(300)
@given(BODIES)
def test_any_body_is_translated_or_refused(body: Json) -> None:
    if (chat := asked(body)) is None:
        return
    try:
        translated = DIALECT.as_chat(chat)
    except BadRequest:
        return
    orjson.dumps(translated.body)
    assert translated.encoder is not None
    encoder = translated.encoder()
    list(encoder.feed({"choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"}]}))
    list(encoder.finish())


@examples(150)
@given(BODIES, st.booleans())
def test_any_body_is_passed_on_or_is_not(body: Json, keeps: bool) -> None:
    if (chat := asked(body)) is None:
        return
    server: Any = Server()
    server.keeps_responses, server.account = keeps, type("Account", (), {"name": "up"})
    if suits(chat, server, DIALECT.known):
        passed(chat, server, DIALECT.known)


@pytest.mark.parametrize("call", ["function_call", "custom_tool_call"])
def test_two_calls_of_one_id_are_both_answered(call: str) -> None:
    items = [{"type": call, "call_id": "a", "name": "f", "arguments": "{}", "input": ""}] * 2
    chat = asked({"model": "m", "input": items})
    assert chat is not None
    said = DIALECT.as_chat(chat).messages
    assert [one["role"] for one in said] == ["assistant", "tool", "tool"]
