"""The events of threads' answers on disk: exactly what was told, without a gap, and never more than there is room for."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from llmproxy.core.replay import Gone, Piece
from llmproxy.store import Store, messages, replay, threads
from llmproxy.store.messages import Ask, Ended
from llmproxy.store.sqlite.database import _FIRST, _statements, connect

ROOM = 1_000_000
NOW = 1.0


def event(number: int) -> bytes:
    return b"id: %d\nevent: token\ndata: {}\n\n" % number


def events(first: int, last: int) -> bytes:
    return b"".join(map(event, range(first, last + 1)))


def piece(first: int, last: int) -> Piece:
    return Piece(first, last, events(first, last))


async def asked(store: Store, request_id: str = "request", owner: str = "me") -> str:
    """A new answer in a new thread."""
    thread = await store.write(threads.create, owner, NOW)
    what = Ask(request_id, messages.new_id(), store.process, "m", "Hi?")
    return (await store.write(messages.ask, owner, thread["id"], what, NOW)).answer_id


async def keep(store: Store, answer: str, pieces: Iterable[Piece], room: int = ROOM, now: float = NOW) -> None:
    await store.write(replay.keep, answer, pieces, room, now)


async def all_after(store: Store, answer: str, after: int, size: int = 65_536) -> bytes:
    seen = b""
    while True:
        position, block = await store.read(replay.take, answer, after, size)
        if position == after:
            return seen
        after, seen = position, seen + block


@pytest.mark.parametrize("size", [1, 50, 65_536])
async def test_a_reader_gets_every_event_after_its_position(store: Store, size: int) -> None:
    answer = await asked(store)
    await keep(store, answer, [piece(1, 3), piece(4, 4)])
    await keep(store, answer, [piece(5, 9)])
    for after in range(10):
        assert await all_after(store, answer, after, size) == events(after + 1, 9)


async def test_answers_do_not_mix(store: Store) -> None:
    one, two = await asked(store, "one"), await asked(store, "two")
    for at in range(1, 9, 2):
        await keep(store, one, [piece(at, at + 1)])
        await keep(store, two, [piece(at, at + 1)])
    assert await all_after(store, one, 2) == await all_after(store, two, 2) == events(3, 8)


async def test_what_lies_before_a_gap_is_let_go(store: Store) -> None:
    answer = await asked(store)
    await keep(store, answer, [piece(1, 3)])
    await keep(store, answer, [piece(6, 9)])
    with pytest.raises(Gone) as gone:
        await all_after(store, answer, 0)
    assert gone.value.oldest == 6
    assert await all_after(store, answer, 5) == events(6, 9)


async def test_no_more_is_kept_than_there_is_room_for(store: Store) -> None:
    answers = [await asked(store, str(number)) for number in range(4)]
    most = len(piece(1, 10).events)
    for at in range(1, 200, 10):
        for answer in answers:
            await keep(store, answer, [piece(at, at + 9)], room=2000)
            [size] = await store.read(lambda db: db.execute("SELECT sum(length(events)) FROM tapes").fetchone())
            assert size <= 2000 + most
    for answer in answers:  # each has its last events, without a gap
        with pytest.raises(Gone) as gone:
            await all_after(store, answer, 0)
        oldest = gone.value.oldest or 0
        assert await all_after(store, answer, oldest - 1) == events(oldest, 200)


async def test_room_that_a_deleted_thread_gave_back_is_not_overdrawn(store: Store) -> None:
    first, last = await asked(store, "first"), await asked(store, "last")
    await keep(store, first, [piece(1, 10)])
    await keep(store, last, [piece(1, 10)])
    await store.write(lambda db: db.execute("DELETE FROM messages WHERE id = ?", (last,)))
    await keep(store, first, [piece(11, 20)])
    assert await all_after(store, first, 0) == events(1, 20)


async def test_they_go_with_their_thread(store: Store) -> None:
    answer = await asked(store)
    await keep(store, answer, [piece(1, 3)])
    await store.delete_all("me")
    assert await store.read(lambda db: db.execute("SELECT * FROM tapes").fetchall()) == []
    await keep(store, answer, [piece(4, 5)])
    assert await store.read(lambda db: db.execute("SELECT * FROM tapes").fetchall()) == []


async def test_they_are_forgotten_in_time(where: Path | str) -> None:
    async with Store(where) as store:
        old, new = await asked(store), await asked(store)
        await keep(store, old, [piece(1, 3)], now=time.time() - 7200)
        await keep(store, new, [piece(1, 3)], now=time.time())
    async with Store(where, tape_hours=1) as store:
        assert await all_after(store, old, 0) == b""
        assert await all_after(store, new, 0) == events(1, 3)


async def test_an_answer_is_found_by_its_request_by_its_owner_only(store: Store) -> None:
    answer = await asked(store, "request", "me")
    await keep(store, answer, [piece(1, 3)])
    found = await store.read(replay.find, "me", "request")
    assert found is not None
    assert (found.message["id"], found.process, found.newest) == (answer, store.process, 3)
    assert await store.read(replay.find, "you", "request") is None
    assert await store.read(replay.find, "me", "other") is None


async def test_of_two_requests_of_one_id_the_later_is_meant(store: Store) -> None:
    await asked(store, "request")
    later = await asked(store, "request")
    found = await store.read(replay.find, "me", "request")
    assert found is not None
    assert found.message["id"] == later


async def test_an_answer_that_has_ended_grows_in_no_process_and_has_its_numbers(store: Store) -> None:
    answer = await asked(store)
    await store.write(messages.end, answer, Ended("complete", "x", {"closed_ms": 1.5, "tokens_per_second": 9.0}), NOW)
    found = await store.read(replay.find, "me", "request")
    assert found is not None
    assert (found.process, found.newest, found.message["closed_ms"]) == (None, 0, 1.5)


async def test_a_database_of_before_gets_them(folder: Path) -> None:
    import sqlite3

    folder.mkdir()
    old: Any = sqlite3.connect(folder / "llmproxy.db")
    for statement in _statements(_FIRST):
        old.execute(statement)
    old.execute("INSERT INTO threads (id, owner, title, created_at, updated_at) VALUES ('t', 'me', 'Old', 0, 0)")
    old.execute("PRAGMA user_version = 1")
    old.commit()
    old.close()
    connect(folder).close()
    async with Store(folder) as store:
        assert (await store.read(threads.thread, "me", "t"))["title"] == "Old"
        answer = await asked(store)
        await keep(store, answer, [piece(1, 3)])
        assert await all_after(store, answer, 0) == events(1, 3)


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("Why?", "Why?"),
        ([{"type": "text", "text": "Why?"}, {"type": "text", "text": '<file name="a.txt">\nxyz\n</file>'}], "Why?"),
        ([{"type": "text", "text": '<file name="a.txt">\nxyz\n</file>'}], "a.txt"),
        ([{"type": "image_url", "image_url": {"url": "data:,"}}], ""),
    ],
)
async def test_a_thread_is_named_after_words_not_after_files(store: Store, content: Any, title: str) -> None:
    thread = await store.write(threads.create, "me", NOW)
    what = Ask("request", messages.new_id(), store.process, "m", content)
    assert (await store.write(messages.ask, "me", thread["id"], what, NOW)).thread["title"] == title
