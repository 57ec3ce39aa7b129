"""The store opens safely, keeps what it acknowledged, and says clearly when it cannot."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmproxy.store import Damaged, Store, StoreError, threads
from llmproxy.store.sqlite.database import FILE, MIGRATIONS, connect

NOW = 1.0


def failing(db: Any) -> None:
    db.execute("INSERT INTO threads (id, owner, title, created_at, updated_at) VALUES ('x', 'me', '', 0, 0)")
    raise KeyError("on purpose")


async def test_nothing_is_opened_before_it_is_needed(folder: Path) -> None:
    async with Store(folder):
        assert not folder.exists()


def test_importing_the_store_does_not_import_a_database() -> None:
    code = "import sys, llmproxy.store; sys.exit(bool({'sqlite3', 'psycopg'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_only_the_owner_of_the_account_may_read_it(folder: Path) -> None:
    async with Store(folder) as store:
        await store.write(threads.create, "me", NOW)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


async def test_a_proper_end_leaves_one_file(folder: Path) -> None:
    async with Store(folder) as store:
        await store.write(threads.create, "me", NOW)
        await store.read(threads.listed, "me", 9, None)
    assert [path.name for path in folder.iterdir()] == [FILE]


async def test_what_a_killed_process_left_lying_about_is_removed(folder: Path) -> None:
    folder.mkdir()
    (folder / "process-0123.lock").write_text("")
    async with Store(folder) as one, Store(folder) as two:
        await one.write(threads.create, "me", NOW)
        await two.write(threads.create, "me", NOW)
        locks = {path.name for path in folder.glob("*.lock")}
        assert locks == {f"process-{one.process}.lock", f"process-{two.process}.lock"}


async def test_a_failing_job_fails_alone(store: Store) -> None:
    jobs: list[Any] = [
        store.write(threads.create, "me", NOW),
        store.write(failing),
        store.write(threads.create, "me", NOW),
    ]
    done = await asyncio.gather(*jobs, return_exceptions=True)
    assert isinstance(done[1], KeyError)
    assert len((await store.read(threads.listed, "me", 9, None))["threads"]) == 2


async def test_jobs_run_in_the_order_they_came(store: Store) -> None:
    done: list[int] = []
    await asyncio.gather(*(store.write(lambda _, number: done.append(number), number) for number in range(600)))
    assert done == list(range(600))


async def test_a_job_is_done_even_if_nobody_waits_for_it(store: Store) -> None:
    store.write(threads.create, "me", NOW).cancel()
    assert len((await store.read(threads.listed, "me", 9, None))["threads"]) == 1


async def test_too_many_jobs_are_refused_at_once(store: Store) -> None:
    store._writer._limit = 0
    with pytest.raises(StoreError, match="does not keep up"):
        store.write(threads.create, "me", NOW)


async def test_after_the_end_nothing_is_taken(where: Path | str) -> None:
    store = Store(where)
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        store.write(threads.create, "me", NOW)


async def test_a_file_that_is_no_database_is_left_alone_and_said(folder: Path) -> None:
    folder.mkdir()
    (folder / FILE).write_bytes(b"this is my novel\n" * 100)
    async with Store(folder) as store:
        with pytest.raises(Damaged, match=r"llmproxy\.db is damaged"):
            await store.read(threads.listed, "me", 9, None)
    assert (folder / FILE).read_bytes() == b"this is my novel\n" * 100


async def test_a_damaged_page_is_found_when_the_file_is_opened(folder: Path) -> None:
    async with Store(folder) as store:
        await asyncio.gather(*(store.write(threads.create, "me", NOW, title="x" * 500) for _ in range(200)))
    with (folder / FILE).open("r+b") as file:
        file.seek(os.path.getsize(folder / FILE) // 2 // 4096 * 4096)
        file.write(b"\xff" * 4096 * 8)
    async with Store(folder) as store:
        with pytest.raises(Damaged):
            await store.write(threads.create, "me", NOW)
    with pytest.raises(Damaged):
        store.check()


async def test_a_newer_database_is_not_touched(folder: Path) -> None:
    folder.mkdir()
    connection = connect(folder)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    async with Store(folder) as store:
        with pytest.raises(StoreError, match="newer version"):
            await store.write(threads.create, "me", NOW)


async def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with Store(tmp_path / "file" / "data") as store:
        with pytest.raises(StoreError, match="data directory"):
            await store.write(threads.create, "me", NOW)


async def test_it_recovers_once_the_trouble_is_over(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    async with Store(tmp_path / "data") as store:
        with pytest.raises(StoreError):
            await store.read(threads.listed, "me", 9, None)
        (tmp_path / "data").unlink()
        assert (await store.read(threads.listed, "me", 9, None))["threads"] == []


async def test_a_full_disk_fails_the_change_and_no_more(folder: Path) -> None:
    async with Store(folder) as store:
        await store.write(threads.create, "me", NOW)
        await store.read(threads.listed, "me", 9, None)
        [pages] = (await store.write(lambda db: db.execute("PRAGMA page_count").fetchone()))[:1]
        await store.write(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone() and None)
        with pytest.raises(StoreError, match="SQLITE_FULL"):
            await store.write(threads.create, "me", NOW, title="x" * 100_000)
        await store.write(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchone() and None)
        await store.write(threads.create, "me", NOW, title="x" * 100_000)
        assert len((await store.read(threads.listed, "me", 9, None))["threads"]) == 2


async def test_two_processes_share_one_database(where: Path | str) -> None:
    async with Store(where) as one, Store(where) as two:
        await asyncio.gather(*(store.write(threads.create, "me", NOW) for store in (one, two) * 20))
        assert len((await one.read(threads.listed, "me", 99, None))["threads"]) == 40
