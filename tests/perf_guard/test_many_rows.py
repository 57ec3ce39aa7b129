"""What a large database costs, counted in steps of SQLite's machine and in rows: never in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from llmproxy.store import Store, ledger, messages, performance, replay, rollups, search, threads
from llmproxy.store.messages import Part
from llmproxy.store.sqlite import database, soundness
from llmproxy.store.sqlite.connection import SqliteConnection
from llmproxy.store.sqlite.database import connect
from llmproxy.store.sqlite.engine import SQLite
from llmproxy.store.upkeep import CROWDED_SECONDS

NOW = time.time()
_EACH = 100  # steps between two counts


def steps(db: SqliteConnection, job: Callable[[], object]) -> int:
    """About how many steps of SQLite's machine a job takes. The same on every run."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    db.set_progress_handler(count, _EACH)
    try:
        job()
    finally:
        db.set_progress_handler(None, 0)
    return counted * _EACH


def opened(folder: Path, name: str) -> SqliteConnection:
    return connect(folder / name)


def with_requests(folder: Path, count: int) -> SqliteConnection:
    """So many within a week, of five models."""
    db = opened(folder, f"requests-{count}")
    db.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
        "INSERT INTO ledger (opened_at, id, process, owner, face, state, attempts, provider, model, usage_source, tokens_in, "
        "tokens_out, ttft_ms, duration_ms) "
        "SELECT :now - 600000.0 * i / :count, 'r' || i, 'p', '', 'chat', 'completed', 1, 'near', 'm' || i % 5, 'provider', "
        "10, 20, 50 + i % 97, 500 + i % 991 FROM n",
        {"count": count, "now": NOW},
    )
    while rollups.advance(db, NOW, 20_000):
        pass
    return db


def test_a_week_of_many_requests_is_told_in_no_more_steps_than_one_of_few(tmp_path: Path) -> None:
    few, many = (with_requests(tmp_path, count) for count in (9_000, 60_000))
    taken = [steps(db, partial(performance.performance, db, "week", NOW)) for db in (few, many)]
    assert taken[1] <= 3 * taken[0]


def test_opening_a_large_file_that_was_closed_properly_takes_no_more_steps_than_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soundness, "SMALL", -1)
    taken: list[int] = []
    for count in (1_000, 30_000):
        with_requests(tmp_path, count).close()
        folder = tmp_path / f"requests-{count}"
        first = SQLite(folder)
        db = first.connect()
        checked()
        db.close()
        first.leave("p")
        with monkeypatch.context() as patch:
            read: list[object] = []
            patch.setattr(database, "sound", read.append)
            taken.append(steps_of_opening(SQLite(folder)))
            checked()
        assert read == []
    assert taken[1] <= 2 * taken[0] + 1_000


def checked() -> None:
    """The check of a file, if there is one, has come to its end."""
    for thread in threading.enumerate():
        if thread.name == "llmproxy-check":
            thread.join()


def steps_of_opening(engine: SQLite) -> int:
    """Of the connection and a first change."""
    db = cast(SqliteConnection, engine.connect())
    try:
        return steps(db, lambda: threads.create(db, "me", NOW))
    finally:
        db.close()


def with_threads(folder: Path, count: int, answers: int = 1) -> SqliteConnection:
    """Each with a title and messages that say `common`; a hundredth of them say `rare`."""
    db = opened(folder, f"threads-{count}-{answers}")
    sizes = {"count": count, "answers": answers}
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) "
    db.execute("BEGIN")
    db.execute(
        numbers.format(":count")
        + "INSERT INTO threads (id, owner, title, created_at, updated_at) SELECT 't' || i, 'me', "
        "'common plan ' || CASE WHEN i % 100 = 0 THEN 'rare' ELSE '' END, i, i FROM n",
        sizes,
    )
    db.execute(
        numbers.format(":count * :answers")
        + "INSERT INTO messages (id, thread_id, parent_id, role, text, state, created_at) "
        "SELECT 'm' || i, 't' || (1 + (i - 1) / :answers), CASE WHEN (i - 1) % :answers THEN 'm' || (i - 1) END, 'user', "
        "'a common question ' || CASE WHEN i % 100 = 0 THEN 'rare q' ELSE '' END, 'complete', i FROM n",
        sizes,
    )
    db.execute("UPDATE threads SET head = 'm' || (i.rowid * :answers) FROM threads i WHERE i.id = threads.id", sizes)
    db.execute("COMMIT")
    return db


@pytest.fixture(scope="module")
def many_threads(tmp_path_factory: pytest.TempPathFactory) -> SqliteConnection:
    return with_threads(tmp_path_factory.mktemp("threads"), 10_000)


def sought(db: SqliteConnection, words: str) -> int:
    assert search.search(db, "me", words), words
    return steps(db, lambda: search.search(db, "me", words))


@pytest.mark.parametrize("words", ["common", "co", "com", "common question", "q"])
def test_a_common_word_is_found_in_as_many_steps_as_a_rare_one(many_threads: SqliteConnection, words: str) -> None:
    assert sought(many_threads, words) <= 5 * sought(many_threads, "rare")


def test_a_search_takes_no_more_steps_with_more_threads(tmp_path: Path, many_threads: SqliteConnection) -> None:
    few = with_threads(tmp_path, 1_000)
    for words in ("common", "rare", "co"):
        assert sought(many_threads, words) <= 1.5 * sought(few, words) + 1_000


def test_what_is_deleted_is_removed_in_slices_of_a_bounded_number_of_rows(tmp_path: Path) -> None:
    db = with_threads(tmp_path, 3_000)
    marks, removed = 0, []
    while threads.mark_all(db, "me", NOW):
        marks += 1
    assert (marks, threads.listed(db, "me", 10, None)["threads"]) == (3, [])
    more = True
    while more:
        before = db.total_changes
        taken = steps(db, lambda: removed.append(threads.remove(db, NOW)))
        more = removed[-1]
        assert db.total_changes - before <= 20 * threads.REMOVED  # with those of the index
        assert taken <= 500 * threads.REMOVED
    assert len(removed) == 3_000 // threads.REMOVED + 1
    assert db.execute("SELECT count(*) FROM messages").fetchone()[0] == 0


def test_a_long_thread_is_removed_in_slices_too(tmp_path: Path) -> None:
    db = with_threads(tmp_path, 1, answers=1_000)
    threads.delete(db, "me", "t1", NOW, purge=True)
    slices = 1
    while threads.remove(db, NOW):
        slices += 1
    assert slices == 1_000 // threads.REMOVED - 1
    assert db.execute("SELECT count(*) FROM threads").fetchone()[0] == 0


def test_long_messages_make_a_slice_shorter(tmp_path: Path) -> None:
    db = with_threads(tmp_path, 1, answers=10)
    db.execute("UPDATE messages SET text = ?", ("word " * 100_000,))
    db.execute("UPDATE threads SET deleted_at = 0")
    assert threads.remove(db, NOW)
    assert db.execute("SELECT count(*) FROM messages").fetchone()[0] == 7


def test_retention_removes_a_bounded_number_of_rows_at_a_time(tmp_path: Path) -> None:
    db = with_requests(tmp_path, 5_000)
    counts: list[int] = []
    while ledger.forget(db, NOW, 1_000):
        counts.append(int(db.execute("SELECT count(*) FROM ledger").fetchone()[0]))
    assert counts == [4_000, 3_000, 2_000, 1_000, 0]


def test_old_events_are_removed_a_bounded_number_at_a_time(tmp_path: Path) -> None:
    db = with_threads(tmp_path, 1)
    for at in range(250):
        db.execute("INSERT INTO tapes VALUES (?, 'm1', ?, ?, ?, x'00')", (at, at, at, at if at < 240 else NOW))
    assert [replay.forget(db, 1_000.0, 100) for _ in range(3)] == [True, True, False]
    assert db.execute("SELECT count(*) FROM tapes").fetchone()[0] == 10


def test_pages_that_nothing_needs_go_back_to_the_file_system(tmp_path: Path) -> None:
    db = with_threads(tmp_path, 3_000)
    db.execute("UPDATE messages SET text = ?", ("word " * 1_000,))
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    threads.mark_all(db, "me", NOW, 10_000)
    while threads.remove(db, NOW) or db.compact():
        pass
    left = db.execute("PRAGMA page_count").fetchone()[0]
    assert pages > 4_000
    assert left < 2_000


def test_work_waits_while_a_reader_keeps_the_log_and_goes_on_when_it_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmproxy.store.sqlite.connection._MOST_LOG", 6 * 2**20)
    monkeypatch.setattr(database, "_LOG", 4 * 2**20)
    db = with_threads(tmp_path, 10)
    reader = connect(tmp_path / "threads-10-1", reading=True)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM messages").fetchone()
    for _ in range(8):
        db.execute("UPDATE messages SET text = hex(randomblob(50000)) || ' ' || id")
    assert db.crowded
    store = Store(None)
    assert store._slice(db) == CROWDED_SECONDS
    reader.execute("ROLLBACK")
    pauses = [store._slice(db) for _ in range(3)]
    assert pauses[-1] is None
    assert not db.crowded


def test_deleted_words_are_in_the_file_no_more(tmp_path: Path) -> None:
    db = with_threads(tmp_path, 500)
    db.execute("UPDATE messages SET text = 'xylophonist' WHERE id = 'm77'")
    threads.delete(db, "me", "t77", NOW, purge=True)
    while threads.remove(db, NOW) or db.compact():
        pass
    blocks: Any = db.execute("SELECT block FROM words_data").fetchall()
    assert not any(b"xylophon" in bytes(block) for (block,) in blocks)


def test_a_page_of_a_long_thread_reads_its_messages_only(tmp_path: Path) -> None:
    short, long = (with_threads(tmp_path, 1, answers=count) for count in (100, 10_000))
    for part in (Part(50), Part(50, before="m90")):
        shown = messages.part_of_thread(long, "me", "t1", part)["messages"]
        assert len(shown) == 50
        taken = [steps(db, partial(messages.part_of_thread, db, "me", "t1", part)) for db in (short, long)]
        assert taken[1] <= 12 * 10_000 + taken[0]  # the tree of all, and what is shown
