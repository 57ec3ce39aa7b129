"""Replays stored events of a thread's answer: those no longer in memory, and those of a process that ended."""

from __future__ import annotations

import asyncio

from llmproxy.core.errors import GatewayError
from llmproxy.core.replay import Gone
from llmproxy.requests.replay_buffer import ReplayBuffer
from llmproxy.store import NotFound, Store, replay
from llmproxy.store.replay import Kept
from llmproxy.wire.sse import event

_LOST = GatewayError(
    "The gateway stopped during this answer. The part that was stored until then is here.", code="answer_lost"
)
_ELSEWHERE = frozenset(
    ("content", "thread_id", "parent_id", "role", "state", "created_at")
)  # members that are not in `done`


class AnswerEvents:
    """The stored events of one answer. `writing`: the last checkpoint, whose events may have left memory while it is being
    written.
    """

    def __init__(self, store: Store, answer_id: str) -> None:
        self.writing: asyncio.Future[None] | None = None
        self._store = store
        self._answer_id = answer_id

    async def take(self, after: int, size: int) -> tuple[int, bytes]:
        if self.writing is not None:
            await asyncio.wait({self.writing})
        return await self._store.read(replay.take, self._answer_id, after, size)


async def recalled(store: Store, owner: str, id: str, after: int, *, orphaned: bool = False) -> ReplayBuffer:
    """The replay buffer of a thread's answer that is not in memory, for a reader that has the events up to `after`.

    Raises NotFound if it does not exist, belongs to another owner, or is growing in another process; Gone if not all events
    after `after` are stored. orphaned: all other processes have said that it is not growing there.
    """
    kept = await store.read(replay.find, owner, id)
    if kept is None or (kept.process not in (None, store.process) and not orphaned):
        raise NotFound("There is no such request.", code="request_not_found")
    if not kept.newest:
        raise Gone(None)
    buffer = _buffer(store, kept, after)
    await buffer.fetch(after, 1)
    return buffer


def _buffer(store: Store, kept: Kept, after: int) -> ReplayBuffer:
    stored = AnswerEvents(store, kept.message["id"])
    if kept.process is None and kept.message["state"] != "lost":
        buffer = ReplayBuffer.from_store(stored, kept.newest)
    else:  # this reader may have events after the last checkpoint that were not stored
        buffer = ReplayBuffer.from_store(stored, max(kept.newest, after))
        buffer.append(event("done", _lost(kept), buffer.newest + 1))
    buffer.close()
    return buffer


def _lost(kept: Kept) -> dict[str, object]:
    """The last event of an answer that was not stored to its end."""
    message = kept.message
    known = {name: value for name, value in message.items() if name not in _ELSEWHERE}
    others = {"response": message["content"], "model_used": known.pop("model"), "message_id": known.pop("id")}
    return {"ok": False, **known, **others, **_LOST.as_json()}
