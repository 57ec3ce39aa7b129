"""When an answer is handed over to be kept: every event once, in order, and never more at once than the disk takes."""

from __future__ import annotations

import asyncio

from llmproxy.conversations.checkpoints import CHECKPOINT, Checkpoints, Pieces
from llmproxy.requests.replay_buffer import ReplayBuffer
from llmproxy.testing.jumping_clock import jumping


class StoredEvents:
    async def take(self, after: int, size: int) -> tuple[int, bytes]:
        return after, b""


class Growing:
    """A replay buffer that grows by events of ten bytes, and a disk that is as slow as the test wants it."""

    def __init__(self, max_bytes: int = 1000) -> None:
        self.buffer = ReplayBuffer(max_bytes, stored=StoredEvents())
        self.checkpoints = Checkpoints(self.buffer, self._keep)
        self.kept: list[tuple[int, int]] = []
        self.writing: list[asyncio.Future[None]] = []

    def _keep(self, pieces: Pieces) -> asyncio.Future[None]:
        self.kept.extend((piece.first, piece.last) for piece in pieces)
        self.writing.append(asyncio.get_running_loop().create_future())
        return self.writing[-1]

    def grow(self, events: int) -> None:
        for _ in range(events):
            self.buffer.append(b"0123456789")
            self.checkpoints.grown()


@jumping
async def test_a_little_waits_for_its_second() -> None:
    growing = Growing()
    growing.grow(3)
    assert growing.kept == []
    await asyncio.sleep(2 * CHECKPOINT)
    assert growing.kept == [(1, 3)]


@jumping
async def test_much_is_handed_over_before_memory_lets_it_go() -> None:
    growing = Growing(max_bytes=1000)
    growing.grow(26)
    assert growing.kept == [(1, 26)]
    growing.checkpoints.end()


@jumping
async def test_while_the_disk_is_slow_nothing_more_is_piled_up() -> None:
    growing = Growing(max_bytes=1000)
    growing.grow(80)
    assert (growing.kept, len(growing.writing)) == ([(1, 26)], 1)
    growing.writing[0].set_result(None)
    growing.grow(1)
    assert growing.kept == [(1, 26), (27, 81)]
    growing.checkpoints.end()


@jumping
async def test_what_came_while_the_disk_was_slow_is_handed_over_without_a_further_event() -> None:
    growing = Growing()
    growing.grow(1)
    await asyncio.sleep(2 * CHECKPOINT)
    growing.grow(1)
    await asyncio.sleep(2 * CHECKPOINT)
    assert growing.kept == [(1, 1)]
    growing.writing[0].set_result(None)
    await asyncio.sleep(2 * CHECKPOINT)
    assert growing.kept == [(1, 1), (2, 2)]


@jumping
async def test_the_end_gives_what_was_not_handed_over_and_then_there_is_no_more() -> None:
    growing = Growing(max_bytes=1000)
    growing.grow(30)
    assert [(piece.first, piece.last) for piece in growing.checkpoints.end()] == [(27, 30)]
    await asyncio.sleep(2 * CHECKPOINT)
    assert growing.kept == [(1, 26)]


@jumping
async def test_without_storage_there_are_no_events_to_keep() -> None:
    growing = Growing(max_bytes=1000)
    growing.buffer.stored = None
    growing.grow(3)
    await asyncio.sleep(2 * CHECKPOINT)
    assert (growing.kept, len(growing.writing), growing.checkpoints.end()) == ([], 1, ())
