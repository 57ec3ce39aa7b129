"""JSON is nested to one limit, checked where bytes come in; what is in a store already is shown without its depths."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import orjson
import pytest

from llmproxy.core.errors import BadRequest, Malformed
from llmproxy.store import Store, messages, threads
from llmproxy.store.messages import Ask
from llmproxy.wire.embeddings import Vectors
from llmproxy.wire.json_body import parse_body, parse_lenient
from llmproxy.wire.nesting import MAX_NESTING, cut, is_deep
from llmproxy.wire.provider_errors import parse_error
from tests.core.kit import chat


def nested(levels: int, *, by: str = "list") -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value] if by == "list" else {"k]}": value, "x": "[["}
    return value


def text(levels: int, by: str = "list") -> bytes:
    return orjson.dumps(nested(levels, by=by))


@pytest.mark.parametrize("by", ["list", "object"])
@pytest.mark.parametrize(("levels", "deep"), [(1, False), (MAX_NESTING, False), (MAX_NESTING + 1, True), (250, True)])
def test_the_limit_is_exact(levels: int, deep: bool, by: str) -> None:
    value = nested(levels, by=by)
    assert is_deep(value, orjson.dumps(value)) is deep


def test_many_shallow_ones_are_not_deep() -> None:
    value = [{"a": [1]}] * 1000
    assert not is_deep(value, orjson.dumps(value))


def test_large_numbers_are_no_depth() -> None:
    assert parse_lenient(b"[" * 60 + b"NaN, " + b"9" * 40 + b"]" * 60 + b" ")[1] is False


def test_a_clients_body_is_refused() -> None:
    deep = b'{"model": "m", "x": ' + text(MAX_NESTING) + b"}"
    with pytest.raises(BadRequest, match="nested deeper than 100") as error:
        parse_body(deep)
    assert (error.value.status, error.value.code) == (400, "invalid_json")
    assert parse_body(b'{"model": "m", "x": ' + text(MAX_NESTING - 1) + b"}")


def test_a_providers_event_is_malformed_and_not_asked_for_again() -> None:
    with pytest.raises(Malformed, match="nested deeper") as error:
        parse_lenient(text(MAX_NESTING + 1))
    assert not error.value.retry_here


def test_a_providers_embeddings_and_errors_are_no_way_around() -> None:
    vectors = Vectors(chat())
    list(vectors.feed(b'{"data": [], "usage": ' + text(150) + b"}"))
    with pytest.raises(Malformed, match="nested deeper"):
        list(vectors.finish())
    error = parse_error(400, {}, b'{"error": {"message": "no", "metadata": ' + text(150) + b"}}", "")
    assert orjson.loads(error.as_bytes())["error"]["message"]


def test_what_is_cut_keeps_the_rest() -> None:
    assert cut({"a": nested(3), "b": "text"}, 3) == {"a": [[None]], "b": "text"}


async def test_a_store_that_holds_deep_values_is_shown(tmp_path: Path) -> None:
    deep = orjson.dumps({"deep": nested(250)}).decode()
    async with Store(tmp_path) as store:
        made = await store.write(threads.create, "me", 1.0, title="T")
        asked = await store.write(
            messages.ask, "me", made["id"], Ask("r", messages.new_id(), store.process, "m", "Hi"), 1.0
        )
    with sqlite3.connect(tmp_path / "llmproxy.db") as database:
        database.execute("UPDATE threads SET settings = ?", (deep,))
        database.execute("UPDATE messages SET facts = ?, parts = ?", (deep, f"[{deep}]"))
    async with Store(tmp_path) as store:
        listed = await store.read(threads.listed, "me", 10, None)
        found = await store.read(messages.of_thread, "me", made["id"])
    assert orjson.dumps(listed)
    assert orjson.dumps(found)
    assert {one["id"] for one in found["messages"]} == {asked.question_id, asked.answer_id}
