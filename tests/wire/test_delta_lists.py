"""Lists that come in several deltas, read by the accumulator that OpenAI's own client has."""

from __future__ import annotations

from typing import Any

import pytest
from openai.lib.streaming._deltas import accumulate_delta

from llmproxy.core.chat import Chat, Json
from llmproxy.testing import chunk, sse
from llmproxy.wire.relay import Relay
from tests.core.kit import chunks_in, run


def cited(*urls: str) -> Json:
    return {"annotations": [{"type": "url_citation", "url_citation": {"url": url}} for url in urls]}


def pictured(*urls: str) -> Json:
    return {"images": [{"type": "image_url", "image_url": {"url": url}} for url in urls]}


def relayed(*deltas: Json, stream: bool = True) -> tuple[bytes, Any]:
    relay = Relay(Chat({"model": "m", "messages": [], "stream": stream}, "m"))
    return run(relay, [sse(*(chunk(delta) for delta in deltas), chunk({}, finish="stop"))])


@pytest.mark.parametrize("key", ["annotations", "images"])
@pytest.mark.parametrize("counts", [(1,), (3,), (1, 1), (2, 1, 3)])
def test_the_official_accumulator_reads_them_whole(key: str, counts: tuple[int, ...]) -> None:
    made = iter(range(100))
    make = cited if key == "annotations" else pictured
    out, error = relayed({"content": "a"}, *(make(*(f"u{next(made)}" for _ in range(count))) for count in counts))
    assert error is None
    message: dict[object, object] = {}
    for one in chunks_in(out):
        message = accumulate_delta(message, one["choices"][0]["delta"])
    members: Any = message[key]
    inner = "url_citation" if key == "annotations" else "image_url"
    assert [one[inner]["url"] for one in members] == [f"u{at}" for at in range(sum(counts))]


def test_a_list_in_one_delta_stays_as_it_came() -> None:
    out, _ = relayed(cited("a", "b"))
    assert chunks_in(out)[0]["choices"][0]["delta"]["annotations"] == cited("a", "b")["annotations"]


def test_an_index_that_the_provider_gave_stays() -> None:
    out, _ = relayed({"images": [{"index": 7, "type": "image_url"}]})
    assert chunks_in(out)[0]["choices"][0]["delta"]["images"][0]["index"] == 7


def test_a_whole_answer_has_none() -> None:
    out, _ = relayed(cited("a"), cited("b"), stream=False)
    assert b'"annotations"' in out
    assert b'"index":1' not in out
