"""What one owner asks of the store does not keep another waiting for more than the job that is being done."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from llmproxy.store import Store
from llmproxy.store.connection import Connection
from llmproxy.store.fair_queue import FairQueue

MANY = 500


class Held:
    """The first job waits until it is let go; who was done is noted."""

    def __init__(self) -> None:
        self.begun, self.let_go = threading.Event(), threading.Event()
        self.done: list[str] = []

    def first(self, db: Connection) -> None:
        self.begun.set()
        self.let_go.wait(10)

    def job(self, db: Connection, owner: str) -> None:
        self.done.append(owner)


def test_owners_take_turns_and_each_keeps_its_order() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3", "b1", "c1", "b2"):
        queue.put(item[0], item)
    assert queue.take(4) == ["a1", "b1", "c1", "a2"]
    queue.put("c", "c2")
    assert queue.take(10) == ["b2", "a3", "c2"]
    assert len(queue) == 0


async def test_a_look_of_another_comes_after_one_of_many(where: Path | str) -> None:
    async with Store(where) as store:
        held = Held()
        await store.read(held.job, "nobody")
        first = asyncio.ensure_future(store.read(held.first))
        await asyncio.to_thread(held.begun.wait, 10)
        many = [asyncio.ensure_future(store.read(held.job, "a")) for _ in range(MANY)]
        await asyncio.sleep(0)
        other = asyncio.ensure_future(store.read(held.job, "b"))
        await asyncio.sleep(0)
        held.let_go.set()
        await asyncio.gather(first, other, *many)
    assert held.done.index("b") <= 2


async def test_a_change_of_another_comes_after_one_of_many(where: Path | str) -> None:
    async with Store(where) as store:
        held = Held()
        await store.write(held.job, "nobody")
        waiting = [store.write(held.first)]
        await asyncio.to_thread(held.begun.wait, 10)
        waiting += [store.write_for("a", held.job, "a") for _ in range(MANY)]
        waiting.append(store.write_for("b", held.job, "b"))
        held.let_go.set()
        await asyncio.gather(*waiting)
    assert held.done.index("b") <= 2


async def test_what_looks_at_much_delays_no_other_look(where: Path | str) -> None:
    async with Store(where) as store:
        held = Held()
        slow = asyncio.ensure_future(store.read_slowly(held.first))
        async with asyncio.timeout(5):
            await store.read(held.job, "b")
        held.let_go.set()
        await slow
