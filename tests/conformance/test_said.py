"""What the checks let a provider say is itself what that API says, and is heard as it was meant."""

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
from llmproxy.testing.conformance.heard import heard_messages, heard_responses
from llmproxy.testing.conformance.heard_gemini import heard_gemini
from llmproxy.testing.conformance.said import Call, Said, Text, Thought
from llmproxy.testing.conformance.voices import voice_of
from llmproxy.testing.event_order import Violation
from llmproxy.testing.samples import as_bytes

Check = Callable[[bytes], list[Violation]]

THOUGHT = Thought("Hm, so.", state="c3RhdGU=")
HEARS = {"/messages": heard_messages, "/responses": heard_responses, "/m:generateContent": heard_gemini}
SAID = {
    "nothing": Said([]),
    "text": Said([Text("Hello, world")]),
    "sources": Said([Text("Hello", sources=[("A", "https://a.example")])]),
    "everything": Said([THOUGHT, Text("Hello"), Call("call_a", "look", '{"at":"sea"}'), Call("call_b", "wait", "")]),
    "the limit": Said([Text("Hello")], finish="length"),
}


@pytest.mark.parametrize("name", SAID)
def test_it_is_valid_in_every_api(name: str) -> None:
    said = SAID[name]
    checks: dict[str, tuple[Check, Check]] = {
        "/chat/completions": (partial(check_stream, include_usage=True), check_chat),
        "/messages": (check_message_stream, check_message),
        "/responses": (check_response_stream, check_response),
        "/models/m:streamGenerateContent": (check_gemini_stream, check_gemini),
    }
    for path, (stream, whole) in checks.items():
        voice = voice_of(f"/v1{path}?beta=true")
        assert voice is not None
        assert stream(voice.stream(said)) == []
        assert whole(as_bytes(voice.answer(said))) == []


@pytest.mark.parametrize("name", SAID)
def test_it_is_heard_alike_streamed_or_not(name: str) -> None:
    said = SAID[name]
    heard = []
    for path, hear in HEARS.items():
        voice = voice_of(path)
        assert voice is not None
        heard += [hear(voice.stream(said), stream=True), hear(as_bytes(voice.answer(said)), stream=False)]
    for one in heard:
        assert (one.parts, one.stop, one.usage) == (heard[0].parts, said.reason, heard[0].usage)
        assert one.usage == {"prompt": 20, "cached": 8, "completion": 9}
