"""A database that fails is said once in the log, counted, and said again when it works."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from llmproxy.core.errors import NotFound, StoreError
from llmproxy.store import Store, threads
from llmproxy.store.connection import Connection


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    events: list[str] = []
    log = SimpleNamespace(
        error=lambda event, **_: events.append(event),
        info=lambda event, **_: events.append(event),
        warning=lambda event, **_: events.append(event),
    )
    monkeypatch.setattr("llmproxy.store.store.log", log)
    return events


async def test_a_folder_that_is_no_folder(tmp_path: Path, told: list[str]) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file")
    for _ in range(3):
        with pytest.raises(StoreError):
            await store.write(threads.create, "me", 1.0)
    assert told == ["storage_failed"]
    assert store.failures == 3
    assert store.fault
    (tmp_path / "file").unlink()
    await store.write(threads.create, "me", 1.0)
    await asyncio.sleep(0)
    assert told == ["storage_failed", "storage_recovered"]
    assert store.fault == ""
    await store.close()


async def test_what_is_not_found_is_no_fault_of_the_database(store: Store, told: list[str]) -> None:
    with pytest.raises(NotFound):
        await store.write(threads.delete, "me", "nothing", 1.0, False)
    assert (told, store.failures) == ([], 0)


async def test_a_database_that_fails_in_the_middle_of_a_job(store: Store, told: list[str]) -> None:
    def job(db: Connection) -> None:
        db.execute("SELECT * FROM a_table_that_is_gone")

    with pytest.raises(StoreError):
        await store.write(job)
    assert told == ["storage_failed"]
