"""What a client carries for another provider comes back as it was, and nothing else is taken for it."""

from __future__ import annotations

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.wire.foreign_reasoning import Packed, is_ours, pack, seal, unpack

_JSON = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists, max_leaves=5)


@given(st.lists(st.dictionaries(st.text(), _JSON, min_size=1)), st.text(), st.dictionaries(st.text(), _JSON))
def test_what_is_packed_comes_back(details: list[dict[str, object]], call_id: str, extra: dict[str, object]) -> None:
    packed = Packed(tuple(details), call_id, extra)
    text = pack(packed)
    assert unpack(text) == (packed if text else None)
    assert is_ours(text) == bool(text)


def test_nothing_to_keep_is_no_text() -> None:
    assert pack(Packed()) == ""
    assert seal({"details": [{"type": "reasoning.text", "text": "Hm"}]}) == ""


def test_a_seal_keeps_what_has_state() -> None:
    encrypted = {"type": "reasoning.encrypted", "data": "abc", "id": "call_0"}
    assert unpack(seal({"details": [{"text": "Hm"}, encrypted]})) == Packed((encrypted,))
    extra = {"google": {"thought_signature": "abc"}}
    assert unpack(seal({"call_id": "call_0", "extra_content": extra})) == Packed((), "call_0", {"extra_content": extra})


@pytest.mark.parametrize(
    "text",
    [None, 7, "", "EqoBCkgIARAB", "llmproxy.1.", "llmproxy.1.!!!", "llmproxy.1.aGVsbG8=", "llmproxy.2.aGVsbG8="]
    + [
        "llmproxy.1." + base64.urlsafe_b64encode(zlib.compress(body)).decode()
        for body in (b"[]", b'{"details":1}', b"{")
    ],
)
def test_anything_else_is_not_ours(text: object) -> None:
    assert unpack(text) is None


def test_a_bomb_is_not_inflated() -> None:
    bomb = "llmproxy.1." + base64.urlsafe_b64encode(zlib.compress(b'{"call_id":"' + b"a" * 20_000_000 + b'"}')).decode()
    assert unpack(bomb) is None
