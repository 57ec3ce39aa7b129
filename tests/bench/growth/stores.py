"""The store at each size: figures, search, deleting, a first write, a page of a long thread; on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from llmproxy.store import Store, messages, performance
from llmproxy.store import threads as kept
from llmproxy.store.messages import Part
from llmproxy.store.sqlite.database import FILE
from tests import postgres
from tests.waiting import soon

from . import filling
from .clock import waited
from .curves import Curve
from .filling import OWNER

if TYPE_CHECKING:
    from llmproxy.store.connection import Connection

_PATIENCE = 600.0  # seconds until everything is deleted


class Places:
    """Where a store of a size lies: a folder, or the URL of an empty database."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self._folder = folder
        self._url = url

    @property
    def engines(self) -> list[str]:
        return ["SQLite", *(["PostgreSQL"] if self._url else [])]

    def fresh(self, engine: str) -> Path | str:
        if engine == "PostgreSQL":
            assert self._url is not None
            return postgres.emptied(self._url)
        shutil.rmtree(self._folder, ignore_errors=True)
        return self._folder

    @asynccontextmanager
    async def filled(self, engine: str, fill: filling.Fill, size: int) -> AsyncIterator[Store]:
        async with Store(self.fresh(engine), ledger_days=10_000) as store:
            await store.write(fill, size)
            yield store


async def _least(work: object, repeats: int = 5) -> float:
    return min([await waited(work) for _ in range(repeats)])  # type: ignore[arg-type]


async def figures(places: Places, sizes: list[int]) -> Curve:
    curve = Curve("figures", "Figures of a week", "requests")
    for engine in places.engines:
        for size in sizes:
            async with places.filled(engine, filling.requests, size) as store:
                curve.add(
                    engine, size, await _least(lambda: store.figures(performance.performance, "week", time.time()))
                )
    return curve


async def search(places: Places, sizes: list[int]) -> Curve:
    curve = Curve("search", "Search", "threads")
    for engine in places.engines:
        for size in sizes:
            async with places.filled(engine, filling.threads, size) as store:
                for line, words in (("common", "common"), ("rare", "rare"), ("two letters", "co")):

                    async def find(words: str = words, store: Store = store) -> None:
                        await store.search(OWNER, words)

                    curve.add(f"{engine}, {line}", size, await _least(find))
    return curve


async def deleting(places: Places, sizes: list[int]) -> Curve:
    curve = Curve("deleting", "Deleting all threads", "threads")
    for engine in places.engines:
        for size in sizes:
            async with places.filled(engine, filling.threads, size) as store:
                worst, log, done = 0.0, 0.0, asyncio.create_task(_deleted(store))
                while not done.done():
                    worst = max(worst, await waited(lambda: store.write(kept.create, "other", time.time())))
                    log = max(log, _megabytes(places, "-wal"))
                    await asyncio.sleep(0.005)
                curve.add(f"{engine}, until all is gone", size, await done)
                curve.add(f"{engine}, longest wait of another's change", size, worst)
                if engine == "SQLite":
                    curve.add("SQLite, write-ahead log (MB)", size, log)
                    curve.add("SQLite, file afterwards (MB)", size, _megabytes(places, ""))
    return curve


async def _deleted(store: Store) -> float:
    """Milliseconds until nothing is left of it."""
    began = time.perf_counter()
    await store.delete_all(OWNER)

    async def gone() -> bool:
        return not store._chores.busy

    await soon(gone, _PATIENCE)
    return (time.perf_counter() - began) * 1e3


def _megabytes(places: Places, suffix: str) -> float:
    try:
        return os.stat(places._folder / f"{FILE}{suffix}").st_size / 2**20
    except OSError:
        return 0.0


async def first_write(places: Places, sizes: list[int]) -> Curve:
    """sizes: megabytes."""
    curve = Curve("first-write", "First change after a start", "MB")
    for size in sizes:
        async with places.filled("SQLite", _long_threads, size * 45):
            pass
        for line in ("after a clean end", "after a kill"):
            if line == "after a kill":
                (places._folder / f"{FILE}.closed").unlink(missing_ok=True)
            async with Store(places._folder) as store:
                curve.add(line, size, await waited(lambda store=store: store.write(kept.create, "other", 1.0)))  # type: ignore[misc]
    return curve


def _long_threads(db: Connection, count: int) -> None:
    filling.threads(db, count, more="word " * 2_000)


async def pages(places: Places, sizes: list[int]) -> Curve:
    curve = Curve("pages", "Fifty messages of one thread", "messages")
    for engine in places.engines:
        for size in sizes:
            async with places.filled(engine, lambda db, count: filling.threads(db, 1, each=count), size) as store:
                curve.add(
                    engine, size, await _least(lambda: store.read(messages.part_of_thread, OWNER, "t1", Part(50)))
                )
    return curve
