"""What the way of one request may cost on our side of the sockets: calls for a small one, memory for a large one."""

from __future__ import annotations

import orjson
from llmproxy.adapters.openai import OpenAI

from llmproxy.core.adapter import Account
from llmproxy.core.chat import Chat
from llmproxy.core.trace import Trace
from llmproxy.dialects.chat_completions.request import parse_chat

from .counting import calls, peak

MB = 1024 * 1024
OPENAI = OpenAI(Account("openai", api_key="x"))


def asking(content: object) -> bytes:
    return orjson.dumps({"model": "openai/gpt", "messages": [{"role": "user", "content": content}], "stream": True})


def carried(raw: bytes, model: str) -> bytes:
    """The way of a request's body from the client's bytes to the provider's."""
    return bytes(OPENAI.request(parse_chat(raw, Trace()).asking(model)).body)


def with_image(size: int) -> bytes:
    url = "data:image/png;base64," + "iVBORw0KGgo" * (size // 11)
    return asking([{"type": "image_url", "image_url": {"url": url}}])


def test_a_small_request_takes_no_more_calls_than_it_took() -> None:
    raw = asking("Hello")
    carried(raw, "gpt")
    assert calls(lambda: carried(raw, "gpt")).total() <= 70


def test_a_request_is_parsed_once_and_not_written_anew() -> None:
    raw = asking("Hello")
    counted = calls(lambda: carried(raw, "gpt"))
    assert counted["loads"] == 1


def test_a_large_body_is_copied_at_most_once_for_another_model_name() -> None:
    raw = with_image(4 * MB)
    chat = parse_chat(raw, Trace()).asking("gpt")
    assert peak(lambda: OPENAI.request(chat)) < len(raw) + MB


def test_a_large_body_that_is_asked_as_a_stream_for_its_meter_is_copied_at_most_once() -> None:
    raw = with_image(4 * MB).replace(b',"stream":true', b"")
    chat = parse_chat(raw, Trace(purse=object())).asking("gpt")  # type: ignore[arg-type]
    assert orjson.loads(b"".join(OPENAI.request(chat).body))["stream"] is True
    assert peak(lambda: OPENAI.request(chat)) < len(raw) + MB


def test_a_large_body_that_needs_nothing_goes_out_as_the_clients_own_bytes() -> None:
    raw = with_image(4 * MB)
    assert Chat(orjson.loads(raw), "openai/gpt", raw=raw).render() is raw
