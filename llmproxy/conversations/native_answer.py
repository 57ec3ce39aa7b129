"""An answer that continues without readers: the request's task writes it to a replay buffer and stores it as it grows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, cast

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import GatewayError, StoreError
from llmproxy.core.lifecycle import Event, Outcome, failed
from llmproxy.core.opener import Reply
from llmproxy.core.replay import Piece, StoredEvents
from llmproxy.core.trace import Trace
from llmproxy.dialects.native.events import Native
from llmproxy.requests.replay_buffer import ReplayBuffer
from llmproxy.requests.running import Running
from llmproxy.store.messages import Ended, State
from llmproxy.wire.sse import event

from .checkpoints import Checkpoints, Pieces

Opening = Callable[[Chat], AbstractAsyncContextManager[Reply]]
Tell = Callable[[str, Json], None]
Cost = Callable[[Running], "float | None"]


@dataclass(frozen=True, slots=True)
class Begun:
    """The request, the members of `init` besides the request's own, and the message that the answer continues.

    title: the `title` event, if the question gave its thread a title.
    """

    chat: Chat
    init: Json
    before: str = ""
    title: Json | None = None


class Record(Protocol):
    """Storage of question and answer. `tell` adds an event to the stream, if it has not ended yet.

    stored: where `grow` and `end` store the events for resume; None stores none. The future of `grow` is done when the
    checkpoint is on disk.
    """

    @property
    def stored(self) -> StoredEvents | None: ...

    async def begin(self, tell: Tell) -> Begun: ...

    def grow(self, text: str, reasoning: str, pieces: Pieces) -> asyncio.Future[None] | None: ...

    async def end(self, ended: Ended, pieces: Pieces) -> None: ...


@dataclass(frozen=True, slots=True)
class Unkept:
    """A question outside of threads: nothing is stored."""

    chat: Chat
    stored: StoredEvents | None = None

    async def begin(self, tell: Tell) -> Begun:
        return Begun(self.chat, dict.fromkeys(("thread_id", "question_id", "message_id")))

    def grow(self, text: str, reasoning: str, pieces: Pieces) -> None:
        return

    async def end(self, ended: Ended, pieces: Pieces) -> None:
        return


def _where(trace: Trace, state: str) -> Json:
    return {"state": state, "provider": trace.provider, "model": trace.model, "attempt": trace.attempts}


# The event for the client for each event of a request.
_STATUS: dict[Event, Callable[[Trace], Json]] = {
    "dial": lambda trace: _where(trace, "connecting"),
    "enqueue": lambda trace: {"state": "queued", "position": trace.position},
    "first_frame": lambda trace: _where(trace, "streaming"),
    "retry_later": lambda trace: {
        **_where(trace, "retrying"),
        "wait_s": round(trace.wait, 3),
        "code": trace.failures[-1] if trace.failures else None,
    },
}


def _reported_cost(running: Running) -> float | None:
    return running.usage.cost if running.usage else None


class NativeAnswer:
    """One native answer. cost: dollars of a request whose attempts have ended; None if unknown."""

    def __init__(self, record: Record, opening: Opening, buffer: ReplayBuffer, cost: Cost = _reported_cost) -> None:
        self.buffer = buffer
        self._record = record
        self._opening = opening
        self._cost = cost
        self._native = Native()
        self._message_id: str | None = None
        self._reasoned: list[float] = []  # times of the first and the last piece of reasoning
        self._checkpoints = Checkpoints(buffer, self._grow)
        self._over = False  # the last event was made, and no event may come before it any more

    async def work(self, running: Running) -> None:
        """The work of the request's task. In every case, the answer is stored before its end is sent."""
        try:
            with running.decides():
                running.begin()
                await self._answer(running)
        finally:
            await self._end(running)

    async def _answer(self, running: Running) -> None:
        begun = await self._record.begin(self._tell)
        self._native = Native(begun.before)
        self._message_id = begun.init["message_id"]
        self._tell("init", {"request_id": running.id, "model": running.model, **begun.init})
        if begun.title is not None:
            self._tell("title", begun.title)
        running.trace.listener = lambda event: self._status(running.trace, event)
        if begun.before:
            self._tell("token", {"t": begun.before})
        async with self._opening(begun.chat) as reply:
            running.began(reply)
            async for frames in reply.frames:
                self._take(frames)

    def _take(self, frames: bytes) -> None:
        for name, data in self._native.feed(frames):
            if name == "reasoning":
                now = time.monotonic()
                self._reasoned = [*self._reasoned[:1], now]
            self._tell(name, data)

    def _grow(self, pieces: Pieces) -> asyncio.Future[None] | None:
        return self._record.grow(self._native.response, self._native.reasoning, pieces)

    def _tell(self, name: str, data: Json) -> None:
        if not self._over:
            self.buffer.append(event(name, data, self.buffer.newest + 1))
            self._checkpoints.grown()

    def _status(self, trace: Trace, event: Event) -> None:
        if (as_event := _STATUS.get(event)) is not None:
            self._tell("status", as_event(trace))

    async def _end(self, running: Running) -> None:
        """Stores the answer, then sends its end: the outcome of the request, or that it could not be stored."""
        self._over = True
        outcome, error = running.outcome, running.error
        assert outcome is not None
        if error is not None and outcome.message == "failed" and self.buffer.newest == 0:
            running.refused = error  # it never began: the first reader gets the error as an HTTP status
        native, facts = self._native, {**self._facts(running), **_closed(running)}
        done = {**_ending(outcome, error), **self._answer_facts(running, facts)}
        collected = {"tool_calls": native.tool_calls, "citations": native.citations, "reasoning": native.reasoning}
        kept = {**facts, **collected, "parts": native.parts, "error": done.get("error")}
        state = cast("State", outcome.message)
        try:
            await self._record.end(Ended(state, native.response, kept), self._last(done))
        except StoreError as failure:  # the answer is complete but not stored: the reader must know
            running.unkept(failure)
            done = {**_ending(failed(failure.code, failure.status), failure), **self._answer_facts(running, facts)}
        finally:
            if running.refused is None:
                self.buffer.append(event("done", done, self.buffer.newest + 1))
            self.buffer.close()

    def _answer_facts(self, running: Running, facts: Json) -> Json:
        """The members of `done` for every outcome."""
        native = self._native
        collected = {"response": native.response, "reasoning": native.reasoning, "model_used": facts["model"]}
        others = {name: value for name, value in facts.items() if name != "model"}
        return {**collected, **others, "request_id": running.id, "message_id": self._message_id}

    def _last(self, done: Json) -> Pieces:
        """The events that are still to be stored, including the last one, which is sent only afterwards."""
        pieces, number = self._checkpoints.end(), self.buffer.newest + 1
        if self.buffer.stored is None or number == 1:  # without sent events there is nothing to resume
            return ()
        return (*pieces, Piece(number, number, event("done", done, number)))

    def _facts(self, running: Running) -> Json:
        trace, now = running.trace, time.monotonic()
        first = running.first_frame
        tokens, _ = running.tokens
        return {
            "model": trace.model,
            "provider": trace.provider,
            "usage": self._native.usage,
            "cost": self._cost(running),
            "ttft_ms": _ms(running.started, first),
            "duration_ms": _ms(running.started, now),
            "reasoning_ms": _ms(self._reasoned[0], self._reasoned[-1]) if self._reasoned else None,
            "tokens_per_second": round(tokens / (now - first), 2) if first is not None and now > first else None,
            "finish_reason": self._native.finish_reason,
            "attempts": trace.attempts,
            "failures": list(trace.failures),
            "route": trace.route,
        }


def _ms(start: float, end: float | None) -> float | None:
    return round((end - start) * 1000, 1) if end is not None else None


def _closed(running: Running) -> Json:
    """The provider's connection is closed here, because the `async with` has ended."""
    asked = running.asked_to_stop
    return {"closed_ms": _ms(asked, time.monotonic())} if asked is not None else {}


def _ending(outcome: Outcome, error: GatewayError | None) -> Json:
    """The members of `done` that depend on the outcome."""
    if error is None:
        return {"ok": True}
    if outcome.message == "stopped":
        return {"ok": False, "stopped": True, "by": outcome.stopped_by}
    return {"ok": False, **error.as_json()}
