"""A response that is cancelled from outside: its stream ends as the same response, with the next number."""

from __future__ import annotations

import orjson
import pytest

from llmproxy.config import Config, Provider
from tests.in_loop import served


@pytest.mark.parametrize("on_disconnect", ["cancel", "detach"])
async def test_the_last_event_goes_on_with_the_numbers_and_the_id(on_disconnect: str) -> None:
    asked = {"model": "demo/slow", "input": "Hi", "stream": True}
    async with served(Config(providers=(Provider("demo", "demo"),))) as gateway:
        headers = {"X-Request-ID": "cancelled-response", "X-LLMProxy-On-Disconnect": on_disconnect}
        async with gateway.client.post(gateway.url + "/v1/responses", json=asked, headers=headers) as answer:
            said = b""
            async for piece in answer.content.iter_any():
                if b"output_text.delta" in piece and b"output_text.delta" not in said:
                    await gateway.client.post(gateway.url + "/v1/requests/cancelled-response/cancel")
                said += piece
    events = [orjson.loads(line[6:]) for line in said.splitlines() if line.startswith(b"data: {")]
    assert [one["sequence_number"] for one in events] == list(range(len(events)))
    assert (events[-1]["type"], events[-1]["response"]["id"]) == ("response.failed", events[0]["response"]["id"])
