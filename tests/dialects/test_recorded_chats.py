"""Every recorded answer in OpenAI's chat form becomes an answer in Messages and in Responses that a strict client takes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from llmproxy.core.chat import Chat, Face, Json
from llmproxy.core.errors import Malformed
from llmproxy.core.trace import Trace
from llmproxy.dialects import find
from llmproxy.testing import check_message, check_message_stream, check_response, check_response_stream
from llmproxy.wire.relay import Relay
from tests.recordings.recording import FOLDER

HOSTS = ("openai", "openrouter", "perplexity", "openai-compatible", "llamacpp", "gemini-openai-compat")
ASKED: dict[Face, Json] = {
    "messages": {"max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]},
    "responses": {"input": "Hi"},
}
CHECKS = {
    ("messages", True): check_message_stream,
    ("messages", False): check_message,
    ("responses", True): check_response_stream,
    ("responses", False): check_response,
}

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="there are no recordings here")


def answers(*, stream: bool) -> Iterator[tuple[str, bytes]]:
    for host in HOSTS:
        for path in sorted((FOLDER / host).glob("*.json")):
            case = json.loads(path.read_bytes())
            if path.name != "INDEX.json" and _is_chat(case, stream):
                yield path.name, base64.b64decode(case["response"]["body_b64"])


def _is_chat(case: Json, stream: bool) -> bool:
    return bool(case["api"] == "chat" and case["response"]["status"] == 200 and case["stream"] is stream)


def translated(face: Face, stream: bool, body: bytes) -> bytes:
    dialect = find(face)
    assert dialect is not None
    asked = {"model": "m", "stream": stream, **ASKED[face]}
    chat = dialect.as_chat(Chat(asked, "m", face, trace=Trace("req", 1700000000), dialect=dialect))
    relay = Relay(chat)
    return b"".join([*relay.feed(body), *relay.finish()])


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("face", ASKED)
def test_it_is_an_answer_that_a_strict_client_takes(face: Face, stream: bool) -> None:
    judged, wrong = 0, dict[str, list[str]]()
    for name, body in answers(stream=stream):
        try:
            out = translated(face, stream, body)
        except Malformed:  # recorded broken
            continue
        judged += 1
        if violations := CHECKS[face, stream](out):
            wrong[name] = [str(one) for one in violations[:3]]
    assert judged > 20
    assert wrong == {}
