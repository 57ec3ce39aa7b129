"""A body with very many members is parsed so that other threads get their turns, and means the same."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from llmproxy.core.errors import BadRequest
from llmproxy.wire import crowded_json, json_body

TEXTS = (
    b' [1] ', b'[18446744073709551615,-9223372036854775808,18446744073709551616,1e5,-0,0.1]', b'{"a":1,"a":[{}]}',
    b'"\\ud83d\\ude00 \\u0000 \xc3\xa9"', b"true", b"", b"[", b"[1,]", b'{"a":1,}', b"[NaN]", b"[-Infinity]", b"[1e999]",
    b'["\\ud800"]', b'{"\\udc00":1}', b'"\xff"', b'["\x01"]', b"[1] x", b"[" * 5000, b"[01]", b'["\\x"]', b"\xef\xbb\xbf[]",
    b'{"a"}', b"{1:2}", b"nul", b"[" + b"9" * 5000 + b"]",
)  # fmt: skip


def tried(loads: Callable[[bytes], Any], text: bytes) -> Any:
    try:
        return repr(loads(text))
    except ValueError:
        return ValueError


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:20]))
def test_it_gives_what_orjson_gives(text: bytes) -> None:
    assert tried(crowded_json.loads, text) == tried(orjson.loads, text)


@pytest.fixture
def crowded_from_a_hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_body, "LARGE", 100)
    monkeypatch.setattr(crowded_json, "CROWDED", 100)
    monkeypatch.setattr(crowded_json, "MOST", 1_000)


def body(count: int, model: bytes = b'"m"') -> bytes:
    members = b",".join(b'"key%d":%d' % (number, number) for number in range(count))
    return b'{"model":%b,"metadata":{%b}}' % (model, members)


@pytest.mark.usefixtures("crowded_from_a_hundred")
@pytest.mark.parametrize(("count", "turns"), [(50, 0), (500, 500)])
def test_the_thread_can_be_interrupted_between_two_members_of_a_crowded_body(count: int, turns: int) -> None:
    """Between two calls of Python functions another thread may go on; a function in C holds it up until it returns."""
    calls = 0

    def count_calls(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    raw = body(count)
    sys.setprofile(count_calls)
    try:
        parsed = json_body.parse_body(raw)
    finally:
        sys.setprofile(None)
    assert parsed == orjson.loads(raw)
    assert (calls >= turns, calls < 50) == (True, not turns)


@pytest.mark.usefixtures("crowded_from_a_hundred")
def test_a_crowded_body_is_refused_as_others_are() -> None:
    for raw in (body(500)[:-1], body(500, model=b"[" * 101 + b"]" * 101), body(500, model=b'"m","model":"n"')):
        with pytest.raises(BadRequest) as refused:
            json_body.parse_body(raw)
        assert (refused.value.status, refused.value.code) == (400, "invalid_json")


@pytest.mark.usefixtures("crowded_from_a_hundred")
def test_more_members_than_memory_is_good_for_are_refused() -> None:
    with pytest.raises(BadRequest) as refused:
        json_body.parse_body(body(2_000))
    assert (refused.value.status, refused.value.code) == (413, "request_too_large")
