"""What was written before a stream broke off is estimated: Anthropic counts the first tokens at the start, the rest at the end."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.core.usage import Tokens
from llmproxy.requests.record import record
from llmproxy.testing import FakeProvider
from tests.dialects.messages.house import Open
from tests.dialects.streams import Json

START: Json = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 30, "cache_read_input_tokens": 10, "output_tokens": 1},
    },
}
BLOCK: Json = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
TEXT: Json = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "word " * 80}}
COUNT: Json = {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 7}}
FACES = [("/v1/messages", {"max_tokens": 100}), ("/v1/chat/completions", {})]  # passed on, and translated


def frames(*events: Json) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (one["type"].encode(), orjson.dumps(one)) for one in events)


@pytest.mark.parametrize(("path", "more"), FACES)
@pytest.mark.parametrize(
    ("events", "output", "source"),
    [([START, BLOCK, TEXT], 100, "estimated"), ([START, BLOCK, TEXT, COUNT], 7, "provider")],
    ids=["before the count", "after it"],
)
async def test_output_is_the_providers_count_or_an_estimate(
    opened: Open, provider: FakeProvider, path: str, more: Any, events: list[Json], output: int, source: str
) -> None:
    body = frames(*events)
    provider.cuts(body, after=len(body))
    async with opened("anthropic") as house:
        asked = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True, **more}
        await house.streamed(path, asked)
        [running] = house.registry.recent()
    [attempt] = running.trace.tries
    assert attempt.tokens == Tokens(input=30, cache_read=10, output=output)
    assert attempt.usage_source == source
    written = record(running)
    assert (written.tokens_in, written.tokens_out, written.usage_source) == (40, output, source)
