"""What the checks let a provider say is itself what that API says, and is view as it was meant."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from llmproxy.testing import (
    check_chat,
    check_gemini,
    check_gemini_stream,
    check_message,
    check_message_stream,
    check_response,
    check_response_stream,
    check_stream,
)
from llmproxy.testing.conformance.client_view import view_of_messages, view_of_responses
from llmproxy.testing.conformance.client_view_gemini import view_of_gemini
from llmproxy.testing.conformance.provider_apis import provider_api_of
from llmproxy.testing.conformance.scripted_reply import Call, ScriptedReply, Text, Thought
from llmproxy.testing.event_order import Violation
from llmproxy.testing.samples import as_bytes

Check = Callable[[bytes], list[Violation]]

THOUGHT = Thought("Hm, so.", state="c3RhdGU=")
HEARS = {"/messages": view_of_messages, "/responses": view_of_responses, "/m:generateContent": view_of_gemini}
SAID = {
    "nothing": ScriptedReply([]),
    "text": ScriptedReply([Text("Hello, world")]),
    "sources": ScriptedReply([Text("Hello", sources=[("A", "https://a.example")])]),
    "everything": ScriptedReply(
        [THOUGHT, Text("Hello"), Call("call_a", "look", '{"at":"sea"}'), Call("call_b", "wait", "")]
    ),
    "the limit": ScriptedReply([Text("Hello")], finish="length"),
}


@pytest.mark.parametrize("name", SAID)
def test_it_is_valid_in_every_api(name: str) -> None:
    reply = SAID[name]
    checks: dict[str, tuple[Check, Check]] = {
        "/chat/completions": (partial(check_stream, include_usage=True), check_chat),
        "/messages": (check_message_stream, check_message),
        "/responses": (check_response_stream, check_response),
        "/models/m:streamGenerateContent": (check_gemini_stream, check_gemini),
    }
    for path, (stream, whole) in checks.items():
        api = provider_api_of(f"/v1{path}?beta=true")
        assert api is not None
        assert stream(api.stream(reply)) == []
        assert whole(as_bytes(api.answer(reply))) == []


@pytest.mark.parametrize("name", SAID)
def test_it_is_heard_alike_streamed_or_not(name: str) -> None:
    reply = SAID[name]
    view = []
    for path, hear in HEARS.items():
        api = provider_api_of(path)
        assert api is not None
        view += [hear(api.stream(reply), stream=True), hear(as_bytes(api.answer(reply)), stream=False)]
    for one in view:
        assert (one.parts, one.stop, one.usage) == (view[0].parts, reply.reason, view[0].usage)
        assert one.usage == {"prompt": 20, "cached": 8, "completion": 9}
