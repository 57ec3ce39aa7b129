"""A database that is copied to another engine is the same afterwards, or nothing was copied."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmproxy.core.replay import Piece
from llmproxy.store import (
    Entry,
    Store,
    StoreError,
    accounts,
    ledger,
    messages,
    migration,
    replay,
    spend,
    threads,
    token_ratios,
)
from llmproxy.store.accounts import Account, Secret
from llmproxy.store.engine import engine_of
from llmproxy.store.ledger import AttemptRow
from llmproxy.store.messages import Ask, Ended
from llmproxy.store.spend import PotKey, Spent
from tests import postgres

FIXTURES = Path(__file__).with_name("fixtures")
KEY = PotKey("key:ann", "total", 0.0)
FOR_EVER = 1_000_000
EVENT = b"id: %d\nevent: token\ndata: {}\n\n"


async def filled(where: Path | str) -> str:
    """Something in every table. Gives the id of an answer."""
    async with Store(where) as store:
        answer = ""
        for number in range(7):
            thread = await store.write(
                threads.create, "ann", 1.0 + number, title=f"T{number}", settings={"x": [1, None]}
            )
            what = Ask(f"request-{number}", messages.new_id(), store.process, "m", f"Where is the café {number}?\0")
            answer = (await store.write(messages.ask, "ann", thread["id"], what, 1.0)).answer_id
            pieces = [Piece(one, one, EVENT % one) for one in range(1, 4)]
            ended = Ended("complete", "東京 — here", {"cost": 0.5})
            await store.write(replay.end, answer, ended, pieces, 1_000_000, time.time())
        account = Account("id1", "bob", "", True, ("m*",), {"rpm": 3}, 1.0, secrets=(Secret(b"\0\xff", None),))
        await store.write(accounts.create, account)
        await store.write(spend.buy, KEY, store.process, 1000, 5000)
        await store.write(token_ratios.add, {("out", "near/m", 70): 3}, time.time())
        for number in range(30):
            entry = Entry(time.time(), f"r{number}", store.process, "ann", state="completed", cost_e12=10, tokens_in=3)
            tokens = (3, None, None, None, 5, *(None,) * 6)
            row = AttemptRow(
                entry.opened_at, entry.id, 1, "ann", "", "near", "m", "answered", None, True, None, *tokens, "provider", 10,
                "p", 1.5, None,
            )  # fmt: skip
            store.ledger.put(entry, [row], [Spent(KEY, store.process, 10)])
        store.ledger.flush()
        await store.write(spend.give_back, KEY, store.process, 600)
        return answer


def content(where: Path | str) -> dict[str, Any]:
    """All rows of all tables but those that engines count in their own way."""
    db = engine_of(where).connect()
    found = {}
    for table in migration.TABLES:
        rows = db.execute(f"SELECT * FROM {table.name} ORDER BY {', '.join(table.key)}").fetchall()
        own = {"ends", table.own}
        found[table.name] = [{name: value for name, value in dict(row).items() if name not in own} for row in rows]
    db.close()
    return found


@pytest.fixture(params=["to a server", "to a file", "to another file"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path | str, Path | str]:
    """From where to where."""
    file, other = tmp_path / "one", tmp_path / "two"
    if request.param == "to another file":
        return file, other
    server = request.getfixturevalue("postgres_url")
    return (file, server) if request.param == "to a server" else (server, file)


async def test_every_row_of_every_table_is_there(
    way: tuple[Path | str, Path | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = way
    await filled(source)
    before = content(source)
    monkeypatch.setattr(migration, "TABLES", [replace(one, page=3) for one in migration.TABLES])
    done = migration.copy(engine_of(source), engine_of(target))
    assert {one.table: one.rows for one in done} == {name: len(rows) for name, rows in before.items()}
    assert all(rows for name, rows in before.items())
    for table, rows in content(target).items():
        for row, was in zip(rows, before[table], strict=True):
            assert row == {
                name: value.replace("\0", "\ufffd") if isinstance(value, str) and isinstance(target, str) else value
                for name, value in was.items()
            }
    assert content(source) == before


async def test_it_is_used_as_before(way: tuple[Path | str, Path | str]) -> None:
    source, target = way
    answer = await filled(source)
    migration.copy(engine_of(source), engine_of(target))
    async with Store(target) as store:
        assert len((await store.search("ann", "cafe")) or ()) == 7
        assert (await store.search("ann", "京"))[0]["message_id"] == answer
        position, events = await store.read(replay.take, answer, 1, 10_000)
        assert (position, events) == (3, EVENT % 2 + EVENT % 3)
        assert (await store.read(accounts.known)).accounts[0].secrets == (Secret(b"\0\xff", None),)
        thread = (await store.read(threads.listed, "ann", 1, None))["threads"][0]
        what = Ask("new", messages.new_id(), store.process, "m", "And then?")
        asked = await store.write(messages.ask, "ann", thread["id"], what, 9.0)  # new rows come after the old ones
        await store.write(replay.keep, asked.answer_id, [Piece(1, 1, EVENT % 1)], 1_000_000, time.time())
        known = (await store.read(messages.of_thread, "ann", thread["id"]))["messages"]
        assert [one["content"] for one in known[-2:]] == ["And then?", ""]
        assert (await store.read(replay.take, answer, 0, 10_000))[0] == 3


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
async def test_a_database_of_an_earlier_version_can_be_copied(version: int, folder: Path, postgres_url: str) -> None:
    folder.mkdir()
    shutil.copy(FIXTURES / f"schema-{version}.db", folder / "llmproxy.db")
    migration.copy(engine_of(folder), engine_of(postgres_url))
    async with Store(postgres_url, ledger_days=FOR_EVER, tape_hours=FOR_EVER) as store:
        [listed] = (await store.read(threads.listed, "", 10, None))["threads"]
        assert listed["title"].startswith("Warum ist der Himmel blau?")
        states = await store.write(
            lambda db: [state for (state,) in db.execute("SELECT state FROM ledger ORDER BY id")]
        )
        assert states == ["completed", "cancelled", "lost", "failed"]


async def test_what_was_open_belongs_to_nobody_afterwards(folder: Path, postgres_url: str) -> None:
    db = engine_of(folder).connect()
    db.execute("BEGIN IMMEDIATE")
    spend.buy(db, KEY, "dead", 100, 1000)
    ledger.write(db, [(Entry(time.time(), "x", "dead"), (), ())])
    db.execute("COMMIT")
    db.close()
    migration.copy(engine_of(folder), engine_of(postgres_url))
    async with Store(postgres_url) as store:
        assert (await store.write(spend.spent, [KEY]))[KEY] == (0, 0)
        assert (await store.write(lambda db: db.execute("SELECT state FROM ledger").fetchone()))[0] == "lost"


async def test_a_target_with_something_in_it_is_left_alone(way: tuple[Path | str, Path | str]) -> None:
    source, target = way
    await filled(source)
    async with Store(target) as store:
        await store.write(threads.create, "me", 1.0)
    with pytest.raises(StoreError, match=r"not empty \(threads"):
        migration.copy(engine_of(source), engine_of(target))
    assert len(content(target)["threads"]) == 1


async def test_a_database_that_is_in_use_is_not_copied(way: tuple[Path | str, Path | str]) -> None:
    source, target = way
    async with Store(source) as store:
        await store.write(threads.create, "me", 1.0)
        with pytest.raises(StoreError, match="gateway is running"):
            migration.copy(engine_of(source), engine_of(target))
    assert content(target)["threads"] == []


def test_a_source_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no database"):
        migration.copy(engine_of(tmp_path / "none"), engine_of(tmp_path / "two"))
    assert list(tmp_path.iterdir()) == []


async def test_a_copy_that_differs_is_undone(
    way: tuple[Path | str, Path | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = way
    await filled(source)
    real = migration._insert
    monkeypatch.setattr(
        migration, "_insert", lambda name, rows, new: real(name, rows[: 20 if name == "ledger" else None], new)
    )
    with pytest.raises(StoreError, match="copy of ledger"):
        migration.copy(engine_of(source), engine_of(target))
    assert not any(content(target).values())


def tables(where: Path | str) -> set[str]:
    if isinstance(where, str):
        found = postgres.execute(where, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    else:
        db = engine_of(where).connect()
        rows = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        inner = ("words_", "titles_", "sqlite_")  # of SQLite's own
        found = [row for row in rows if not row[0].startswith(inner)]
        db.close()
    return {name for (name,) in found}


def test_no_table_is_forgotten(where: Path | str) -> None:
    assert tables(where) <= {one.name for one in migration.TABLES} | migration.ELSEWHERE


def columns(where: Path | str, table: str) -> set[str]:
    if isinstance(where, str):
        query = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = "
        return {name for (name,) in postgres.execute(where, f"{query}'{table}'")}
    db = engine_of(where).connect()
    found = db.execute(f"SELECT name FROM pragma_table_info('{table}')").fetchall()
    db.close()
    return {name for (name,) in found}


@pytest.mark.parametrize("table", [one.name for one in migration.TABLES])
def test_both_engines_have_the_same_columns(table: str, folder: Path, postgres_url: str) -> None:
    own = {one.own for one in migration.TABLES if one.name == table}
    assert columns(folder, table) - own == columns(postgres_url, table) - own


def command(source: str, target: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "llmproxy", "migrate", "--from", source, "--to", target]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


async def test_the_command_says_what_it_copied_and_why_it_did_not(folder: Path, postgres_url: str) -> None:
    await filled(folder)
    done = command(f"sqlite://{folder}", postgres_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:2] == ["threads: 7 rows", "messages: 14 rows"]
    again = command(f"sqlite://{folder}", postgres_url)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith("llmproxy: nothing was copied: The target is not empty (threads,")
