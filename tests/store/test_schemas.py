"""Databases that earlier versions wrote open with everything in them, whatever the schema has become."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from llmproxy.store import Store, messages, replay, threads
from llmproxy.store.sqlite.database import FILE, MIGRATIONS, connect

FIXTURES = Path(__file__).with_name("fixtures")
VERSIONS = (1, 2, 3, 4, 5, 6)
FOR_EVER = 1_000_000  # the fixtures grow old


@pytest.fixture(params=VERSIONS)
def old(request: pytest.FixtureRequest, folder: Path) -> int:
    """The folder holds a database of this schema, which was in use when its process died."""
    folder.mkdir(mode=0o700)
    shutil.copy(FIXTURES / f"schema-{request.param}.db", folder / FILE)
    return int(request.param)


def rows(folder: Path, query: str) -> list[Any]:
    connection: Any = sqlite3.connect(folder / FILE)
    try:
        return list(connection.execute(query))
    finally:
        connection.close()


def test_it_is_brought_up_to_the_newest_schema(old: int, folder: Path) -> None:
    assert rows(folder, "PRAGMA user_version") == [(old,)]
    connect(folder).close()
    assert rows(folder, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert rows(folder, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("table", ["threads", "messages", "ledger", "tapes"])
def test_every_value_of_every_row_is_still_there(old: int, table: str, folder: Path) -> None:
    names = [name for [name] in rows(folder, f"SELECT name FROM pragma_table_info('{table}')")]
    columns = ", ".join(name for name in names if name != "cost")  # which is kept as cost_e12 now
    if not columns:
        pytest.skip(f"schema {old} has no {table}")
    before = rows(folder, f"SELECT {columns} FROM {table}")
    connect(folder).close()
    assert before
    assert rows(folder, f"SELECT {columns} FROM {table}") == before


async def test_each_owner_has_the_threads_that_were_theirs(old: int, folder: Path) -> None:
    async with Store(folder) as store:
        [alice] = (await store.read(threads.listed, "key-1", 10, None))["threads"]
        [bob] = (await store.read(threads.listed, "key-2", 10, None))["threads"]
        failed = (await store.read(messages.of_thread, "key-1", alice["id"]))["messages"][-1]
    assert (alice["title"], alice["pinned"], bob["title"], bob["pinned"]) == ("Alice's", True, "Bob's", False)
    assert (failed["state"], failed["error"]) == ("failed", {"code": "upstream_error", "message": "gone"})


async def test_a_thread_has_all_its_branches(old: int, folder: Path) -> None:
    async with Store(folder) as store:
        [listed] = (await store.read(threads.listed, "", 10, None))["threads"]
        known = (await store.read(messages.of_thread, "", listed["id"]))["messages"]
    assert listed["settings"] == {"temperature": 0.5}
    assert listed["title"].startswith("Warum ist der Himmel blau?")
    answers = {one["id"]: one for one in known if one["role"] == "assistant"}
    first, second, third = (answers[f"answer-{old}-{number}"] for number in (1, 2, 3))
    assert (first["content"], first["state"], first["cost"]) == ("Rayleigh.", "complete", 0.000123)
    assert (first["usage"], first["citations"]) == (
        {"prompt_tokens": 9, "completion_tokens": 3},
        ["https://example.com/sky"],
    )
    assert (second["content"], second["state"], second["closed_ms"]) == ("Rayl", "stopped", 0.4)
    assert second["parent_id"] == first["parent_id"]
    assert (third["content"], third["state"], third["reasoning"]) == ("Half an ans", "lost", "thinking")
    [asked] = [one["content"] for one in known if one["id"] == third["parent_id"]]
    assert [part["type"] for part in asked] == ["text", "image_url"]


async def test_the_events_of_an_answer_can_be_read_on(old: int, folder: Path) -> None:
    async with Store(folder, tape_hours=FOR_EVER) as store:
        found = await store.read(replay.find, "", f"request-{old}-3")
        assert found is not None
        assert found.newest == (2 if old >= 2 else 0)


async def test_the_ledger_has_every_row(old: int, folder: Path) -> None:
    async with Store(folder, ledger_days=FOR_EVER) as store:
        await store.read(threads.listed, "", 10, None)
    found = rows(folder, "SELECT id, state, code, attempts, cost_e12 FROM ledger ORDER BY opened_at")
    assert found == [
        (f"request-{old}-1", "completed", None, 1, 123_000_000),
        (f"request-{old}-2", "cancelled", "request_cancelled", 2, None),
        (f"request-{old}-3", "lost", None, 0, None),
        (f"request-{old}-4", "failed", "upstream_error", 3, None),
    ]


async def test_a_deleted_thread_stays_deleted(old: int, folder: Path) -> None:
    async with Store(folder) as store:
        assert (await store.read(threads.listed, "environment", 10, None))["threads"] == []
    assert rows(folder, "SELECT title FROM threads WHERE deleted_at IS NOT NULL") == [("Deleted",)]


async def test_each_old_request_is_one_attempt_of_unknown_fate(old: int, folder: Path) -> None:
    async with Store(folder, ledger_days=FOR_EVER) as store:
        await store.read(threads.listed, "", 10, None)
    found = rows(folder, "SELECT id, state, sent, cost_e12 FROM attempts ORDER BY opened_at")
    assert found == [
        (f"request-{old}-1", "unknown", 1, 123_000_000),
        (f"request-{old}-2", "unknown", 1, None),
        (f"request-{old}-3", "unknown", 0, None),
        (f"request-{old}-4", "unknown", 1, None),
    ]


async def test_what_was_asked_long_ago_is_in_the_sums_and_titles_are_found(old: int, folder: Path) -> None:
    async with Store(folder, ledger_days=FOR_EVER) as store:
        found = await store.search("key-1", "alice")
        await store.write(lambda db: None)
    assert [one["title"] for one in found] == ["Alice's"]
    assert rows(folder, "SELECT place > 0 FROM progress WHERE id = 'rollups'") == [(1,)]


@pytest.mark.parametrize("version", [5, 6])
async def test_a_lease_of_a_process_that_died_is_ended(version: int, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    shutil.copy(FIXTURES / f"schema-{version}.db", folder / FILE)
    assert rows(folder, "SELECT spent_e12, leased_e12 FROM spend") == [(0, 7000)]
    async with Store(folder) as store:
        await store.write(lambda db: None)
    assert rows(folder, "SELECT spent_e12, leased_e12 FROM spend") == [(0, 0)]
    assert rows(folder, "SELECT id FROM leases") == []
