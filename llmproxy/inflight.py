"""The requests being answered now, each a task that can be cancelled by its id, and the last ones that were."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from .chat import Chat, Trace
from .errors import GatewayError
from .reply import Reply

if TYPE_CHECKING:
    from .tape import Tape

State = Literal["running", "completed", "cancelled", "failed"]


@dataclass(slots=True, eq=False)
class Running:
    """One request. Times are on the event loop's clock, except `started_at`, which is Unix seconds."""

    id: str
    owner: str
    model: str  # as the client named it
    stream: bool
    trace: Trace
    started: float
    started_at: float
    face: str = "chat"
    task: asyncio.Task[Any] | None = None
    state: State = "running"
    by: str | None = None  # who cancelled it
    error: GatewayError | None = None
    reply: Reply | None = None
    status: int = 200
    first_frame: float | None = None
    asked_to_stop: float | None = None
    ended: float | None = None
    tape: Tape | None = None  # its frames, if it may be resumed
    note: dict[str, Any] = field(default_factory=dict)  # for whoever started it

    def cancel(self, by: str) -> bool:
        """Stops it, in whatever phase it is. False if it had ended already; a second call changes nothing."""
        if self.task is None or self.task.done():
            return False
        if self.by is None:
            self.by = by
            self.asked_to_stop = asyncio.get_running_loop().time()
            self.task.cancel()
        return True

    def began(self, reply: Reply) -> None:
        """The first real frame is there."""
        self.reply = reply
        self.first_frame = asyncio.get_running_loop().time()

    @property
    def tokens(self) -> tuple[int, bool]:
        """Completion tokens so far, and whether that is only an estimate from the text's length."""
        translator = self.reply.translator if self.reply else None
        if translator is None:
            return 0, True
        if translator.usage is not None and (self.state != "running" or translator.usage.completion):
            return translator.usage.completion, False
        return (translator.produced + 3) // 4, True

    @property
    def closed_ms(self) -> float | None:
        """From the cancel until everything was closed."""
        if self.ended is None or self.asked_to_stop is None:
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

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Running]:
        return iter(list(self._running.values()))

    def recent(self) -> Iterator[Running]:
        """Those that ended, the last one first."""
        return reversed(self._past.values())

    def free_id(self, wanted: str | None = None) -> str:
        """The client's own id if no request has it, else an unguessable one."""
        if wanted and wanted not in self._running and wanted not in self._past:
            return wanted
        return secrets.token_urlsafe(18)

    def start(self, id: str, owner: str, chat: Chat, work: Callable[[Running], Coroutine[Any, Any, Any]]) -> Running:
        """Starts the one task of a request. The caller awaits `.task`, or leaves it to us."""
        loop = asyncio.get_running_loop()
        running = Running(
            id, owner, str(chat.body.get("model") or chat.model), chat.stream, chat.trace, loop.time(), time.time(), chat.face
        )
        self._running[id] = running
        self._idle.clear()
        running.task = loop.create_task(work(running))
        running.task.add_done_callback(lambda task: self._settle(running, task))
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

    def _settle(self, running: Running, task: asyncio.Task[Any]) -> None:
        """The one place where a request ends: exactly once, whatever happened."""
        running.ended = asyncio.get_running_loop().time()
        error = None if task.cancelled() else task.exception()  # asked for, or asyncio complains that nobody did
        if task.cancelled():
            running.state, running.by = "cancelled", running.by or "client_disconnect"
            running.status = 499
        elif error is not None:
            running.state = "failed"
            running.error = error if isinstance(error, GatewayError) else GatewayError("The gateway failed.", code="internal_error")
            running.status = running.error.status
        else:
            running.state = "completed"
        self._running.pop(running.id, None)
        self._past[running.id] = running
        while len(self._past) > self._remembered:
            self._past.popitem(last=False)
        if not self._running:
            self._idle.set()
        if self._ended is not None:
            self._ended(running)
        running.task = None if running.tape is None else task
