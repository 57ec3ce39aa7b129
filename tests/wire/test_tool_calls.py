"""Tool calls: for every stream that a tolerant client would understand, the same calls; never a wrong one."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.core.chat import Json
from llmproxy.core.errors import Malformed
from llmproxy.wire.normalise.json_end import JsonEnd
from llmproxy.wire.normalise.tool_calls import ToolCalls
from tests.core.kit import chat, lean

Call = tuple[str, str]  # name, arguments

IDS = ("once", "each", "missing", "integer", "empty", "null", "changing", "late")
INDEXES = ("own", "zero", "missing")
NAMES = ("first", "late", "empty first", "in pieces", "each")
ARGUMENTS = ("one piece", "pieces", "object", "again at the end", "with the name", "none")


def read(pieces: list[list[Json]], finish: str = "tool_calls") -> list[tuple[str, str, str]]:
    """Id, name and arguments as the official SDK joins them, with what every client is promised."""
    step = ToolCalls(chat())
    calls: list[Json] = []
    chunks: list[Json] = [
        {"choices": [{"index": 0, "delta": {"tool_calls": one}, "finish_reason": None}]} for one in pieces
    ]
    last: Json = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    out = [got for chunk in (*chunks, last) for got in step.feed(chunk)] + list(step.finish())
    for piece in (p for chunk in out for p in chunk["choices"][0]["delta"].get("tool_calls", ())):
        body = piece.get("function", {})
        if piece["index"] == len(calls):
            assert isinstance(piece["id"], str)
            assert piece["type"] == "function"
            assert body["name"]
            calls.append({"id": piece["id"], "name": "", "arguments": ""})
        call = calls[piece["index"]]
        assert piece.get("id", call["id"]) == call["id"]
        call["name"] += body.get("name", "")
        call["arguments"] += body.get("arguments", "")
    assert len({call["id"] for call in calls}) == len(calls)
    return [(call["id"], call["name"], call["arguments"]) for call in calls]


def written(calls: list[Call], ids: str, indexes: str, names: str, arguments: str) -> list[list[Json]]:
    """The calls as a provider with these habits would stream them."""
    stream: list[list[Json]] = []
    for number, (name, said) in enumerate(calls):
        bodies = _bodies(name, said, names, arguments)
        for at, body in enumerate(bodies):
            piece: Json = {"type": "function", "function": body}
            if indexes != "missing":
                piece["index"] = number if indexes == "own" else 0
            id = _id(ids, number, at, len(bodies))
            if id is not None:
                piece["id"] = id
            stream.append([piece])
    return stream


def _id(ids: str, number: int, at: int, pieces: int) -> Any:
    first = at == 0
    return {
        "once": f"call_{number}" if first else None,
        "each": f"call_{number}",
        "missing": None,
        "integer": 100 + number if first else None,
        "empty": "",
        "null": "null",
        "changing": f"call_{number}_{at}",
        "late": f"call_{number}" if at == min(1, pieces - 1) else None,
    }[ids]


def _bodies(name: str, said: str, names: str, arguments: str) -> list[Json]:
    half = len(name) // 2
    opening: list[Json] = {
        "first": [{"name": name, "arguments": ""}],
        "late": [{"arguments": ""}, {"name": name, "arguments": ""}],
        "empty first": [{"name": "", "arguments": ""}, {"name": name, "arguments": ""}],
        "in pieces": [{"name": name[:half], "arguments": ""}, {"name": name[half:], "arguments": ""}],
        "each": [{"name": name, "arguments": ""}],
    }[names]
    middle = len(said) // 2
    cut = [said[:middle], said[middle:]]
    growing: list[Any] = {
        "one piece": [said],
        "pieces": cut,
        "object": [json.loads(said)],
        "again at the end": [*cut, said],
        "with the name": [],
        "none": [],
    }[arguments]
    if arguments == "with the name":
        opening[-1]["arguments"] = said
    more = {"name": name} if names == "each" else {}
    return [*opening, *({**more, "arguments": piece} for piece in growing)]


CALLS: list[Call] = [
    ("get_weather", '{"city": "Oslo", "note": "a } \\" ]"}'),
    ("get_weather", '{"city": "Rome"}'),
    ("get_time", '{"zones": [{"tz": "UTC"}]}'),
]


def understood(ids: str, indexes: str, names: str, arguments: str, count: int) -> bool:
    """Whether a stream of these habits says where its calls begin."""
    told = indexes == "own" or ids in ("once", "each", "integer")
    if ids == "changing" and indexes == "own":
        # Each piece under an id of its own: which go together is told by arguments that are not complete.
        return names in ("first", "each") and arguments == "with the name"
    if ids == "changing":
        return names in ("first", "each") and arguments == "with the name"
    if ids == "late" and (count > 1 or names == "in pieces") and indexes != "own":
        return False
    if told or count == 1:
        return True
    return arguments != "none" and names in ("first", "each", "in pieces")


SHAPES = [shape for shape in itertools.product(IDS, INDEXES, NAMES, ARGUMENTS, (1, 2, 3)) if understood(*shape)]


def test_every_shape_that_can_be_understood_gives_the_same_calls() -> None:
    wrong = []
    for ids, indexes, names, arguments, count in SHAPES:
        calls = CALLS[:count]
        expected = [(name, "{}" if arguments == "none" else said) for name, said in calls]
        try:
            got = [(name, said) for _, name, said in read(written(calls, ids, indexes, names, arguments))]
        except (Malformed, AssertionError, KeyError, IndexError) as error:
            got = [("failed", repr(error))]
        same = [(name, json.loads(said)) for name, said in got if name != "failed"]
        if same != [(name, json.loads(said)) for name, said in expected]:
            wrong.append((ids, indexes, names, arguments, count, got))
    assert len(SHAPES) > 900
    assert wrong == []


@given(st.lists(st.integers(0, 2), max_size=12), st.randoms(use_true_random=False))
@lean
def test_parallel_calls_may_come_interleaved(order: list[int], random: Any) -> None:
    stream = [[{"index": i, "id": f"c{i}", "function": {"name": CALLS[i][0], "arguments": ""}}] for i in range(3)]
    left = [said for _, said in CALLS]
    for i in [*order, *range(3)]:
        size = random.randint(0, len(left[i])) if i in order else len(left[i])
        stream.append([{"index": i, "function": {"arguments": left[i][:size]}}])
        left[i] = left[i][size:]
    stream += [[{"index": i, "function": {"arguments": rest}}] for i, rest in enumerate(left) if rest]
    assert [call[1:] for call in read(stream)] == CALLS


def test_several_calls_under_one_index_in_one_delta() -> None:
    pieces = [{"index": 0, "function": {"name": name, "arguments": said}} for name, said in CALLS]
    assert [call[1:] for call in read([pieces])] == CALLS


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_a_call_that_was_cut_before_its_name_takes_no_index(finish: str) -> None:
    pieces = [[{}, {"index": 0, "function": {"name": "f"}}], [{"index": 0, "function": {"arguments": '{"a"'}}]]
    assert [(name, said) for _, name, said in read(pieces, finish)] == [("f", '{"a"')]


def test_pieces_that_each_have_another_id_go_on_with_arguments_that_are_not_complete() -> None:
    cut = ['{"cmd":', '"ls', '"}']
    stream = [
        [{"index": 0, "id": f"call_{at}", "function": {"name": "bash", "arguments": one}}] for at, one in enumerate(cut)
    ]
    assert [call[1:] for call in read(stream)] == [("bash", '{"cmd":"ls"}')]


def named(name: str, *arguments: str) -> list[list[Json]]:
    """Pieces under one index, each with the name."""
    return [[{"index": 0, "function": {"name": name, "arguments": one}}] for one in arguments]


def test_the_last_name_said_once_more_is_no_call() -> None:
    stream = named("a", "{}", "")
    assert [call[1:] for call in read(stream)] == [("a", "{}")]


@pytest.mark.parametrize(
    "stream",
    [
        [[{"index": 0, "id": "x", "function": {"arguments": "{}"}}]],
        [
            [{"index": 0, "id": "x", "function": {"name": "a", "arguments": '{"a": 1}'}}],
            [{"index": 0, "function": {"arguments": '{"b": 2}'}}],
        ],
        [[{"index": 0, "id": ["x"], "function": {"name": "a", "arguments": "{}"}}]],
        [[{"index": 0, "id": "x", "function": {"name": {"a": 1}, "arguments": "{}"}}]],
    ],
    ids=["no name", "two objects in one call", "an id that is a list", "a name that is an object"],
)
def test_what_cannot_be_understood_is_an_error(stream: list[list[Json]]) -> None:
    with pytest.raises(Malformed):
        read(stream)


def test_a_name_in_every_piece_costs_no_more_than_its_length() -> None:
    pieces = [[{"function": {"name": "write", "arguments": one}}] for one in ['{"a": "', *["x" * 50] * 20_000, '"}']]
    began = time.process_time()
    [(_, name, said)] = read(pieces)
    assert (name, len(said)) == ("write", 20_000 * 50 + 9)
    assert time.process_time() - began < 5


@given(
    st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)), st.randoms()
)
@lean
def test_the_end_of_json_is_found_however_it_is_cut(value: Any, random: Any) -> None:
    text = json.dumps({"v": value})
    end, at = JsonEnd(), 0
    while at < len(text):
        assert end.state in ("empty", "open")
        size = random.randint(1, 5)
        end.feed(text[at : at + size])
        at += size
    states = [end.state]
    for more in (" \n", "{"):
        end.feed(more)
        states.append(end.state)
    assert states == ["whole", "whole", "broken"]
