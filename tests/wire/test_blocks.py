"""Chunks and marks become blocks that follow each other, whatever order the chunks' members come in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.core.errors import Malformed
from llmproxy.core.marks import MARK, marked
from llmproxy.wire.block_events import Begun, BlockEvent, Closed, Counted, Finished, Grew, Noted, Opened
from llmproxy.wire.blocks import Blocks
from llmproxy.wire.normalise.json_end import JsonEnd


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": "a", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def call(index: int, arguments: str, name: str | None = None, **more: Any) -> dict[str, Any]:
    head = {"id": f"call_{index}", "type": "function"} if name else {}
    function = {"arguments": arguments, **({"name": name} if name else {})}
    return {"tool_calls": [{"index": index, **head, "function": function, **more}]}


def blocks(*chunks: dict[str, Any]) -> list[BlockEvent]:
    reader = Blocks()
    events = [event for one in chunks for event in reader.feed(one)]
    events += reader.finish()
    keeps_the_rules(events)
    return events


def keeps_the_rules(events: Iterable[BlockEvent]) -> None:
    begun, open, following, finished = False, None, 0, False
    arguments = ""
    for event in events:
        match event:
            case Begun():
                assert not begun
                begun = True
            case Opened(index, kind):
                assert begun
                assert open is None
                assert not finished
                assert index == following
                open, following, arguments = (index, kind), following + 1, ""
            case Grew(index, field, piece):
                assert open is not None
                assert open[0] == index
                assert piece
                arguments += piece if field == "arguments" else ""
            case Noted(index):
                assert open is not None
                assert open[0] == index
            case Closed(index):
                assert open is not None
                assert open[0] == index
                if open[1] == "tool_call":
                    orjson.loads(arguments)
                open = None
            case Finished():
                assert open is None
                assert not finished
                finished = True
            case Counted():
                pass


def story(events: Iterable[BlockEvent]) -> list[tuple[str, str]]:
    """Kind and text of each block."""
    told: list[tuple[str, str]] = []
    for event in events:
        if isinstance(event, Opened):
            told.append((event.kind, event.name))
        elif isinstance(event, Grew):
            told[-1] = (told[-1][0], told[-1][1] + event.piece)
    return told


def test_each_change_of_kind_is_another_block() -> None:
    events = blocks(
        chunk({"role": "assistant", "reasoning_content": "Hm"}),
        chunk({"reasoning_content": "m."}),
        chunk({"content": "Yes"}),
        chunk({"reasoning_content": "More."}),
        chunk(call(0, '{"a":1}', "look")),
        chunk({}, "tool_calls", usage={"prompt_tokens": 3}),
    )
    assert story(events) == [
        ("reasoning", "Hmm."),
        ("text", "Yes"),
        ("reasoning", "More."),
        ("tool_call", 'look{"a":1}'),
    ]
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "tool_calls"
    assert Counted({"prompt_tokens": 3}) in events


def test_members_of_one_chunk_come_in_their_order() -> None:
    whole = {"content": "Yes", "reasoning_content": "Hm", **call(0, "{}", "look"), "refusal": "No"}
    assert [kind for kind, _ in story(blocks(chunk(whole, "stop")))] == ["reasoning", "text", "refusal", "tool_call"]


def test_calls_that_interleave_wait_for_each_other() -> None:
    events = blocks(
        chunk(call(0, '{"a":', "one")),
        chunk(call(1, '{"b":', "two")),
        chunk({"content": "Now."}),
        chunk(call(0, "1}")),
        chunk(call(1, "2}")),
        chunk({}, "tool_calls"),
    )
    assert story(events) == [("tool_call", 'one{"a":1}'), ("tool_call", 'two{"b":2}'), ("text", "Now.")]


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.randoms())
def test_any_order_of_pieces_keeps_the_rules(order: list[int], random: Any) -> None:
    texts = {index: orjson.dumps({"n": index, "text": 'a"\\{}'}).decode() for index in (0, 1, 2)}
    left, chunks = dict(texts), [chunk(call(index, "", f"f{index}")) for index in texts]
    for index in order:
        size = random.randint(0, 5)
        chunks.append(chunk(call(index, left[index][:size])))
        left[index] = left[index][size:]
    chunks += [chunk(call(index, rest)) for index, rest in left.items()]
    assert sorted(story(blocks(*chunks, chunk({}, "tool_calls")))) == [
        ("tool_call", f"f{index}{text}") for index, text in texts.items()
    ]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    assert story(blocks(chunk(call(0, "", "now")), chunk({}, "tool_calls"))) == [("tool_call", "now{}")]


def test_arguments_that_do_not_end_are_an_error() -> None:
    with pytest.raises(Malformed):
        blocks(chunk(call(0, '{"a":', "one")), chunk({}, "tool_calls"))


def test_arguments_may_be_cut_by_the_limit() -> None:
    reader = Blocks()
    events = [*reader.feed(chunk(call(0, '{"a":', "one"), "length")), *reader.finish()]
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "length"


def test_a_signature_of_reasoning_comes_with_its_end() -> None:
    detail = {"type": "reasoning.text", "text": "Hm", "index": 0, "signature": None}
    events = blocks(
        chunk({"reasoning_content": "Hm", "reasoning_details": [detail]}),
        chunk({"reasoning_details": [{"type": "reasoning.text", "signature": "abc", "index": 0}]}),
        chunk({"content": "Yes"}, "stop"),
    )
    assert [one.seal.get("details") for one in events if isinstance(one, Closed)] == [
        [{**detail, "signature": "abc"}],
        None,
    ]


def test_what_is_bound_to_a_call_is_a_block_before_it() -> None:
    extra = {"google": {"thought_signature": "abc"}}
    events = blocks(chunk(call(0, "{}", "look", extra_content=extra)), chunk({}, "tool_calls"))
    assert [kind for kind, _ in story(events)] == ["reasoning", "tool_call"]
    closed = next(one for one in events if isinstance(one, Closed))
    assert closed.seal == {"call_id": "call_0", "extra_content": extra}


def test_marks_say_where_blocks_begin_and_end() -> None:
    events = blocks(
        marked({}, {"begin": {"id": "msg_1", "model": "claude", "usage": {"prompt_tokens": 9}}}),
        marked({"content": "One"}, {"open": {"kind": "text", "item": "m1"}}),
        marked({"content": "Two"}, {"open": {"kind": "text"}}),
        marked({}, {"close": {"item": {"id": "m2"}}}),
        marked({}, {"opaque": {"dialect": "messages", "block": {"type": "server_tool_use"}}}),
        marked({"reasoning_content": "Hm"}, {"open": {"kind": "reasoning", "part": "summary"}}),
        marked({}, {"close": {"signature": "abc"}, "message": {"stop_sequence": "x"}}, finish_reason="stop"),
    )
    assert events[0] == Begun("msg_1", "claude", {"prompt_tokens": 9})
    assert story(events) == [("text", "One"), ("text", "Two"), ("opaque", ""), ("reasoning", "Hm")]
    assert Grew(3, "summary", "Hm") in events
    assert Closed(3, {"signature": "abc"}) in events
    assert events[-1] == Finished("stop", None, {"stop_sequence": "x"})


def test_a_block_may_be_empty_where_a_mark_says_so() -> None:
    events = blocks(
        marked({}, {"open": {"kind": "reasoning"}}),
        marked({}, {"close": {"signature": "abc"}}),
        chunk({"content": "Yes"}, "stop"),
    )
    assert story(events) == [("reasoning", ""), ("text", "Yes")]


def test_citations_belong_to_the_text() -> None:
    cited = [{"type": "url_citation", "url_citation": {"url": "https://example.com"}}]
    events = blocks(chunk({"content": "Yes"}), chunk({"annotations": cited}), chunk({}, "stop"))
    assert Noted(0, {"annotations": cited}) in events


def test_only_the_first_choice_is_read() -> None:
    two = chunk({"content": "One"}, "stop")
    two["choices"].append({"index": 1, "delta": {"content": "Other"}})
    assert story(blocks(two)) == [("text", "One")]


def test_an_empty_piece_between_backslash_and_quote_changes_nothing() -> None:
    end = JsonEnd()
    for piece in ('{"a":"\\', "", '"}', '"}'):
        end.feed(piece)
    assert end.state == "whole"


def test_the_mark_has_its_name() -> None:
    assert marked({}, {"open": {}})["choices"][0][MARK] == {"open": {}}


@pytest.mark.parametrize("finish", ["tool_calls", "stop"])
def test_a_call_that_only_the_providers_own_word_calls_cut_is_cut(finish: str) -> None:
    """OpenRouter's `tool_calls` with `max_output_tokens` beside it, recorded: half a call is no failure then."""
    reader = Blocks()
    end = {"index": 0, "delta": {}, "finish_reason": finish, "native_finish_reason": "max_output_tokens"}
    for one in (chunk(call(0, '{"at": "the', "look")), {"id": "a", "choices": [end]}):
        list(reader.feed(one))
    *_, last = reader.finish()
    assert isinstance(last, Finished)
    assert last.reason == "length"
