"""The requests being answered now, each a task that can be cancelled by its id, and the last ones that were."""

from __future__ import annotations

import asyncio
import time
from asyncio import BaseTransport
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Literal

from llmproxy.config import OnDisconnect
from llmproxy.core.chat import Chat
from llmproxy.core.errors import Cancelled, GatewayError, bare
from llmproxy.core.ids import fresh_id
from llmproxy.core.opener import Reply
from llmproxy.core.trace import Trace
from llmproxy.core.usage import Usage
from llmproxy.observe.periodic import attempt

if TYPE_CHECKING:
    from .replay_buffer import Tape

State = Literal["running", "completed", "cancelled", "failed"]


class Work(asyncio.Task[Any]):
    """A request's one task. It knows when it was first told to stop, whoever told it: a handler that is cancelled, because
    its client has left, cancels what it awaits.
    """

    asked_to_stop: float | None = None

    def cancel(self, msg: Any = None) -> bool:
        if self.asked_to_stop is None:
            self.asked_to_stop = time.monotonic()
        return super().cancel(msg)


@dataclass(slots=True, eq=False)
class Running:
    """One request. `started_at` is Unix seconds; the other times are time.monotonic(), as uvloop's clock ticks in milliseconds."""

    id: str
    owner: str
    model: str  # as the client named it
    stream: bool
    trace: Trace
    started: float
    started_at: float
    face: str = "chat"
    task: Work = field(init=False)
    state: State = "running"
    by: str | None = None  # who cancelled it
    error: GatewayError | None = None
    reply: Reply | None = None
    status: int = 200
    first_frame: float | None = None
    ended: float | None = None
    tape: Tape | None = None  # its frames, if it may be resumed
    leaving: OnDisconnect = "cancel"  # what becomes of it when its last reader has left
    readers: int = 0  # how many follow its replay buffer now
    refused: GatewayError | None = None  # why it never began: its readers are told by status
    headers: Mapping[str, str] = field(default_factory=dict)  # what its readers are told beside the stream
    thread_id: str | None = None  # the thread that it answers in
    transport: BaseTransport | None = None  # the client's connection, while it is answered directly
    _usage: Usage | None = None  # the last known, once the reply is let go
    _tokens: tuple[int, bool] = (0, True)

    def cancel(self, by: str) -> bool:
        """Stops it, in whatever phase it is. False if it had ended already; a second call changes nothing."""
        if self.task.done():
            return False
        if self.by is None:
            self.by = by
            self.task.cancel()
        return True

    def left(self) -> None:
        """Its client has left, which its own task found out by writing to it."""
        if self.by is None:
            self.by = "client_disconnect"
            self.task.asked_to_stop = time.monotonic()

    def began(self, reply: Reply) -> None:
        """The first real frame is there."""
        self.reply = reply
        self.first_frame = time.monotonic()

    @property
    def usage(self) -> Usage | None:
        """What the provider has counted so far."""
        return self.reply.translator.usage if self.reply is not None else self._usage

    @property
    def tokens(self) -> tuple[int, bool]:
        """Completion tokens so far, and whether that is only an estimate from the text's length."""
        if self.reply is None:
            return self._tokens
        translator = self.reply.translator
        if translator.usage is not None and (self.state != "running" or translator.usage.completion):
            return translator.usage.completion, False
        return (translator.produced + 3) // 4, True

    def forget(self) -> None:
        """Keeps the numbers and lets the answer go."""
        self._usage, self._tokens = self.usage, self.tokens
        self.reply = None

    @property
    def asked_to_stop(self) -> float | None:
        return self.task.asked_to_stop

    @property
    def closed_ms(self) -> float | None:
        """From the cancel, or from when we knew that its client had left, until everything was closed."""
        if self.ended is None or self.asked_to_stop is None or self.by is None:
            return None
        return round((self.ended - self.asked_to_stop) * 1000, 3)


class Inflight:
    """Owns every request's task: starts it, knows it while it runs, remembers it for a while."""

    def __init__(self, *, remembered: int = 1000, ended: Callable[[Running], None] | None = None) -> None:
        self._running: dict[str, Running] = {}
        self._past: OrderedDict[str, Running] = OrderedDict()
        self._remembered = remembered
        self._ended = ended
        self._idle = asyncio.Event()
        self._idle.set()
        self._deadlines: list[tuple[float, str]] = []  # a heap
        self._alarm: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Running]:
        return iter(list(self._running.values()))

    def recent(self) -> Iterator[Running]:
        """Those that ended, the last one first."""
        return reversed(self._past.values())

    def free_id(self, wanted: str | None = None) -> str:
        """The client's own id if no request has it, else an unguessable one."""
        if wanted and wanted not in self._running and not self._resumable(wanted):
            return wanted
        return fresh_id()

    def start(self, id: str, owner: str, chat: Chat, work: Callable[[Running], Coroutine[Any, Any, Any]]) -> Running:
        """Starts the one task of a request. The caller awaits `.task`, or leaves it to us.

        Raises GatewayError if a request of this id came in between.
        """
        if id in self._running:
            raise GatewayError("A request with this id is being answered.", status=409, code="request_id_in_use")
        loop = asyncio.get_running_loop()
        named = str(chat.body.get("model") or chat.model)
        running = Running(id, owner, named, chat.stream, chat.trace, time.monotonic(), time.time(), chat.face)
        self._running[id] = running
        self._idle.clear()
        running.task = Work(work(running), loop=loop)
        running.task.add_done_callback(lambda _: self._settle(running))
        if chat.trace.deadline is not None:
            self._limit(chat.trace.deadline, id)
        return running

    def get(self, id: str, owner: str | None = None) -> Running | None:
        """The request of that id, running or remembered; None also if it is somebody else's."""
        found = self._running.get(id) or self._past.get(id)
        return found if found is not None and owner in (None, found.owner) else None

    def cancel_all(self, by: str, which: Callable[[Running], bool] = lambda _: True) -> int:
        """Stops every request that `which` says; returns how many."""
        return sum(running.cancel(by) for running in self if which(running))

    async def idle(self) -> None:
        """Returns when nothing runs."""
        await self._idle.wait()

    def _limit(self, deadline: float, id: str) -> None:
        """One timer for all deadlines, set for the earliest: a timer for every request costs as much as its routing."""
        if len(self._deadlines) > 2 * len(self._running) + 1000:  # most of them ended long before
            self._deadlines = [one for one in self._deadlines if one[1] in self._running]
            heapify(self._deadlines)
        heappush(self._deadlines, (deadline, id))
        if self._deadlines[0][0] == deadline:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = asyncio.get_running_loop().call_at(deadline, self._ring)

    def _ring(self) -> None:
        loop = asyncio.get_running_loop()
        while self._deadlines and self._deadlines[0][0] <= loop.time():
            deadline, id = heappop(self._deadlines)
            late = self._running.get(id)
            if late is not None and late.trace.deadline == deadline:
                attempt(partial(late.cancel, "deadline"), "deadlines")
        while self._deadlines and self._deadlines[0][1] not in self._running:
            heappop(self._deadlines)
        self._alarm = loop.call_at(self._deadlines[0][0], self._ring) if self._deadlines else None

    def _resumable(self, id: str) -> bool:
        """Whether a request that ended is still kept under this id for those who resume it."""
        past = self._past.get(id)
        return past is not None and past.tape is not None

    def _settle(self, running: Running) -> None:
        """The one place where a request ends: exactly once, whatever happened."""
        task = running.task
        running.ended = time.monotonic()
        error = None if task.cancelled() else task.exception()  # asked for, or asyncio complains that nobody did
        if task.cancelled():
            running.state, running.by = "cancelled", running.by or "client_disconnect"
            running.status = Cancelled.because(running.by).status
        elif failure := _told(error) or running.error:
            running.error = failure
            running.state = "cancelled" if isinstance(failure, Cancelled) else "failed"
            running.by = running.by or failure.extra.get("by")
            running.status = failure.status
        else:
            running.state = "completed"
        self._running.pop(running.id, None)
        self._past[running.id] = running
        self._past.move_to_end(running.id)
        while len(self._past) > self._remembered:
            self._past.popitem(last=False)
        if not self._running:
            self._idle.set()
        running.forget()
        if self._ended is not None:
            self._ended(running)
        bare(running.error)


def _told(error: BaseException | None) -> GatewayError | None:
    if error is None or isinstance(error, GatewayError):
        return error
    return GatewayError("The gateway failed.", code="internal_error")
