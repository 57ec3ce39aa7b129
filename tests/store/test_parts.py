"""A long thread is read in parts: the end of the shown branch first, with what stands beside it."""

from __future__ import annotations

import pytest

from llmproxy.core.errors import BadRequest
from llmproxy.store import Store, messages, threads
from llmproxy.store.messages import Ask, Ended, Part

ME = "me"


async def turn(store: Store, thread: str, text: str, parent: str | None) -> tuple[str, str]:
    """A question after `parent`, and its answer; the ids of both."""
    what = Ask("r", messages.new_id(), store.process, "m", text, follows_head=False, parent_id=parent)
    asked = await store.write(messages.ask, ME, thread, what, 1.0)
    await store.write(messages.end, asked.answer_id, Ended("complete", f"to {text}", {}), 1.0)
    return asked.question_id, asked.answer_id


async def chat(store: Store, turns: int) -> tuple[str, list[str]]:
    """A thread, and the ids of its messages."""
    thread = (await store.write(threads.create, ME, 1.0))["id"]
    ids: list[str] = []
    for number in range(turns):
        ids += await turn(store, thread, f"q{number}", ids[-1] if ids else None)
    return thread, ids


async def part(store: Store, thread: str, what: Part) -> tuple[list[str], str | None, bool]:
    found = await store.read(messages.part_of_thread, ME, thread, what)
    return [one["id"] for one in found["messages"]], found["head"], found["more"]


async def test_the_end_comes_first_and_what_is_before_it_then(store: Store) -> None:
    thread, ids = await chat(store, 5)
    assert await part(store, thread, Part(4)) == (ids[6:], ids[9], True)
    assert await part(store, thread, Part(4, before=ids[6])) == (ids[2:6], ids[9], True)
    assert await part(store, thread, Part(4, before=ids[2])) == (ids[:2], ids[9], False)


async def test_other_versions_come_along_but_not_what_follows_them(store: Store) -> None:
    thread, ids = await chat(store, 3)
    other, _ = await turn(store, thread, "another q2", ids[3])
    assert await part(store, thread, Part(3)) == ([ids[3], ids[4], other, _], _, True)
    back = await store.read(messages.part_of_thread, ME, thread, Part(3, at=ids[4]))
    assert [one["id"] for one in back["messages"]] == [ids[3], ids[4], ids[5], other]
    assert back["head"] == ids[5]


async def test_a_message_is_found_on_its_branch(store: Store) -> None:
    thread, ids = await chat(store, 3)
    await turn(store, thread, "another q1", ids[1])
    found, head, more = await part(store, thread, Part(4, at=ids[2]))
    assert head == ids[5]
    assert found[:4] == ids[2:6]
    assert more


async def test_a_short_thread_comes_whole_with_all_its_branches(store: Store) -> None:
    thread, ids = await chat(store, 2)
    await turn(store, thread, "another q0", None)
    found, _, more = await part(store, thread, Part(6))
    assert len(found) == 6
    assert set(ids) < set(found)
    assert not more


async def test_an_empty_thread_has_no_parts(store: Store) -> None:
    thread, _ = await chat(store, 0)
    assert await part(store, thread, Part(5)) == ([], None, False)


@pytest.mark.parametrize("name", ["at", "before"])
async def test_a_message_of_another_thread_is_refused(store: Store, name: str) -> None:
    thread, _ = await chat(store, 1)
    _, others = await chat(store, 1)
    with pytest.raises(BadRequest) as refused:
        await store.read(messages.part_of_thread, ME, thread, Part(5, **{name: others[0]}))
    assert refused.value.param == name
