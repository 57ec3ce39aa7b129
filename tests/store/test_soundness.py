"""When the database's file is read as a whole, and what becomes of a damaged one. Every file counts as a large one here."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from llmproxy.core.errors import Damaged
from llmproxy.store import Store, messages, threads
from llmproxy.store.messages import Ask
from llmproxy.store.sqlite import database, soundness
from llmproxy.store.sqlite.database import FILE
from tests.waiting import soon

NOW = 1.0


class Check:
    """Stands before the check of the file: counts it, and holds it up until `go`."""

    def __init__(self, checked: Callable[..., None]) -> None:
        self._checked = checked
        self.begun = 0
        self.go = threading.Event()
        self.go.set()

    def __call__(self, db: object) -> None:
        self.begun += 1
        assert self.go.wait(20)
        self._checked(db)


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Check:
    made = Check(database.sound)
    monkeypatch.setattr(soundness, "SMALL", -1)
    monkeypatch.setattr(database, "sound", made)
    return made


async def used(folder: Path) -> None:
    """The database is opened, changed and closed, and the check of it, if there is one, has come to its end."""
    async with Store(folder) as store:
        await store.write(threads.create, "me", NOW)
        await checked()


async def checked() -> None:
    for thread in threading.enumerate():
        if thread.name == "llmproxy-check":
            await asyncio.to_thread(thread.join)


async def damage(folder: Path) -> None:
    """In the middle of a long message, which nobody reads when a database is opened."""
    async with Store(folder) as store:
        id = (await store.write(threads.create, "me", NOW))["id"]
        await store.write(messages.ask, "me", id, Ask("r", "a", store.process, "m", "needle " * 50_000), NOW)
    whole = (folder / FILE).read_bytes()
    start = whole.index(b"needle " * 500) // 4096 * 4096 + 2 * 4096
    with (folder / FILE).open("r+b") as file:
        file.seek(start)
        file.write(b"\xff" * 4096 * 8)
    os.utime(folder / FILE, ns=(1, 1))  # a clock of files may tick slower than this test


async def test_a_file_that_was_closed_properly_is_not_read_again(folder: Path, check: Check) -> None:
    await used(folder)
    assert check.begun == 1
    for _ in range(3):
        await used(folder)
    assert check.begun == 1


async def test_after_a_kill_it_is_read_beside_the_work(folder: Path, check: Check) -> None:
    await used(folder)
    (folder / f"{FILE}.closed").unlink()  # as if it had never been closed
    check.go.clear()
    async with Store(folder) as store:
        await store.write(threads.create, "me", NOW)
        assert len((await store.read(threads.listed, "me", 9, None))["threads"]) == 2
        check.go.set()
    assert check.begun == 2


async def test_a_log_that_was_left_behind_is_an_unclean_end(folder: Path, check: Check) -> None:
    await used(folder)
    (folder / f"{FILE}-wal").write_bytes(b"left")
    await used(folder)
    assert check.begun == 2


async def test_a_file_that_was_changed_or_replaced_is_read(folder: Path, check: Check) -> None:
    await used(folder)
    os.utime(folder / FILE, ns=(1, 1))
    await used(folder)
    assert check.begun == 2


async def test_a_week_later_it_is_read_all_the_same(
    folder: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    await used(folder)
    monkeypatch.setattr(soundness, "TRUSTED", -1.0)
    await used(folder)
    assert check.begun == 2


async def test_beside_a_living_process_it_is_not_read_again(folder: Path, check: Check) -> None:
    async with Store(folder) as one:
        await one.write(threads.create, "me", NOW)
        await checked()
        await used(folder)
    assert check.begun == 1


async def test_when_damage_is_found_nothing_is_written_any_more(folder: Path, check: Check) -> None:
    await damage(folder)
    check.go.clear()
    async with Store(folder) as store:
        await store.write(lambda db: None)  # it is open
        check.go.set()

        async def refused() -> bool:
            try:
                await store.write(lambda db: None)
            except Damaged as error:
                return "damaged" in str(error)
            return False

        assert await soon(refused)
        assert "damaged" in store.fault


async def test_what_was_found_is_said_at_once_by_every_later_start(folder: Path, check: Check) -> None:
    await damage(folder)
    await used_until_found(folder)
    check.go.clear()
    check.go.set()
    async with Store(folder) as store:
        with pytest.raises(Damaged):
            await store.write(threads.create, "me", NOW)


async def test_a_whole_file_in_its_place_is_taken(folder: Path, check: Check) -> None:
    await used(folder)
    whole = (folder / FILE).read_bytes()
    await damage(folder)
    await used_until_found(folder)
    for name in ("-wal", "-shm"):
        (folder / f"{FILE}{name}").unlink(missing_ok=True)
    (folder / FILE).write_bytes(whole)
    await used(folder)
    assert not (folder / f"{FILE}.damaged").exists()


async def used_until_found(folder: Path) -> None:
    async with Store(folder) as store:
        await store.write(lambda db: None)

        async def found() -> bool:
            return (folder / f"{FILE}.damaged").exists()

        assert await soon(found)


async def test_a_small_file_is_read_before_it_is_used(folder: Path) -> None:
    await damage(folder)
    async with Store(folder) as store:
        with pytest.raises(Damaged):
            await store.write(threads.create, "me", NOW)
