"""Registry of running requests, each a task that can be stopped by its ID, and of the last finished ones."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from heapq import heapify, heappop, heappush
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from llmproxy.core.chat import Chat
from llmproxy.core.clock import LATE
from llmproxy.core.errors import GatewayError, forget_traceback
from llmproxy.core.flight import thinned
from llmproxy.core.ids import fresh_id
from llmproxy.core.trace import Trace
from llmproxy.observe.periodic import attempt

from .running import Running

if TYPE_CHECKING:
    from llmproxy.core.flight import Content


CONTENT_BYTES = 64 * 1024 * 1024  # stored content of all finished requests
_BODY = 1.0  # seconds to receive the body of a request that is to be stopped before it began
_GRACE = 5.0  # seconds to read waiting data after this process was suspended
Name = tuple[str, str]  # owner and ID: each key has its own IDs


@dataclass(slots=True)
class Arrival:
    """A request that has no task yet. known: done when it has one, or never will have."""

    begin: Callable[[], None]
    known: asyncio.Future[None]
    stopped_by: str | None = None

    def started(self, running: Running) -> None:
        if self.stopped_by is not None:
            running.stop(self.stopped_by)
        self.over()

    def over(self) -> None:
        if not self.known.done():
            self.known.set_result(None)


class RequestRegistry:
    """Owns the task of every request: starts it, finds it by ID while it runs, and remembers it for a while."""

    def __init__(self, *, remembered: int = 1000, ended: Callable[[Running], None] | None = None) -> None:
        self._running: dict[Name, Running] = {}
        self._past: OrderedDict[Name, Running] = OrderedDict()
        self._remembered = remembered
        self._ended = ended
        self._idle: asyncio.Event | None = None  # set when no request runs, if a caller waits for that
        self._deadlines: list[tuple[float, Name]] = []  # a heap
        self._alarm: asyncio.TimerHandle | None = None
        self._with_content: deque[Trace] = deque()  # traces with stored content, the oldest first
        self._content_bytes = 0
        self.fresh: Callable[[], str] = fresh_id  # makes unguessable IDs
        self.tag = ""  # the prefix of our IDs, if there are other replicas
        self._uids: dict[str, Name] = {}
        self._arriving: dict[Name, Arrival] = {}

    def name_replica(self, tag: str) -> None:
        """From now on every request has an ID of ours that begins with the tag, besides the client's own if there is one."""
        self.tag = tag
        self.fresh = lambda: tag + fresh_id()

    def made(self, id: str) -> bool:
        """Whether an ID is one of ours, so that no other replica knows a request with it."""
        return bool(self.tag) and id.startswith(self.tag)

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Running]:
        return iter(list(self._running.values()))

    def owners(self) -> Iterator[str]:
        """The owner of each running request."""
        return map(itemgetter(0), self._running)

    def recent(self) -> Iterator[Running]:
        """Finished requests, the last one first."""
        return reversed(self._past.values())

    def free_id(self, wanted: str | None = None, owner: str = "") -> str:
        """The client's own ID if its owner has no other request with it, otherwise an unguessable one."""
        if wanted and (owner, wanted) not in self._running and not self._resumable((owner, wanted)):
            return wanted
        return self.fresh()

    def start(self, id: str, owner: str, chat: Chat, work: Callable[[Running], Coroutine[Any, Any, Any]]) -> Running:
        """Starts the one task of a request. The caller waits for `.task` with `asyncio.wait`, or leaves it running.

        Raises GatewayError if a request with this ID was started meanwhile.
        """
        name = (owner, id)
        if name in self._running:
            raise GatewayError("A request with this ID is running already.", status=409, code="request_id_in_use")
        named = str(chat.body.get("model") or chat.model)
        running = Running(id, owner, named, chat.stream, chat.trace, time.monotonic(), time.time(), chat.face)
        if self.tag and not self.made(id):
            running.uid = self.fresh()
            self._uids[running.uid] = name
        self._running[name] = running
        running.task = asyncio.get_running_loop().create_task(running.work(work))
        running.task.add_done_callback(partial(self._settle, running))
        if chat.trace.deadline is not None:
            self._limit(chat.trace.deadline, name)
        if self._arriving and (arrival := self._arriving.get(name)) is not None:
            arrival.started(running)
        return running

    def get(self, id: str, owner: str | None = None) -> Running | None:
        """The owner's request with that ID (the client's or the gateway's); without an owner, the newest one of all."""
        name = self._uids.get(id, (owner or "", id)) if self._uids else (owner or "", id)
        if owner is not None:
            found = self._running.get(name) or self._past.get(name)
            return found if name[0] == owner else None
        if id in self._uids:
            return self._running.get(name) or self._past.get(name)
        return next((one for one in (*self, *self.recent()) if one.id == id), None)

    @contextmanager
    def arriving(self, id: str, owner: str, begin: Callable[[], None]) -> Iterator[None]:
        """Surrounds the wait of a request that has no task yet. `begin` ends the wait, for a cancel that must find it."""
        name = (owner, id)
        arrival = self._arriving[name] = Arrival(begin, asyncio.get_running_loop().create_future())
        try:
            yield
        finally:
            arrival.over()
            if self._arriving.get(name) is arrival:
                del self._arriving[name]

    async def stop_arriving(self, id: str, owner: str, *, anybodys: bool = False) -> None:
        """Stops the owner's requests with that ID that have no task yet: each begins, and ends at its first step.

        Returns when they are in the registry. A request whose body has not arrived by then is not waited for.
        """
        names = [name for name in self._arriving if name[1] == id and (anybodys or name[0] == owner)]
        arrivals = [self._arriving[name] for name in names]
        for name, arrival in zip(names, arrivals, strict=True):
            arrival.stopped_by = "api" if name[0] == owner else "admin"
            arrival.begin()
        if arrivals:
            await asyncio.wait([arrival.known for arrival in arrivals], timeout=_BODY)

    def stop_all(self, by: str, which: Callable[[Running], bool] = lambda _: True) -> list[Running]:
        """Stops every request for which `which` is true; returns those that this call has stopped."""
        return [running for running in self if which(running) and running.stop(by)]

    async def idle(self) -> None:
        """Returns when no request is running."""
        if self._running:
            self._idle = self._idle or asyncio.Event()
            await self._idle.wait()

    def _limit(self, deadline: float, name: Name) -> None:
        """One timer for all deadlines, set to the earliest: a timer per request costs as much as its routing."""
        if len(self._deadlines) > 1000 and len(self._deadlines) > 2 * len(self._running) + 1000:  # most have ended
            self._deadlines = [one for one in self._deadlines if one[1] in self._running]
            heapify(self._deadlines)
        heappush(self._deadlines, (deadline, name))
        if self._deadlines[0][0] == deadline:
            if self._alarm is not None:
                self._alarm.cancel()
            self._set_alarm(deadline)

    def _ring(self) -> None:
        loop = asyncio.get_running_loop()
        if self._alarm is not None and (missed := loop.time() - self._alarm_at) > LATE:
            self._put_off(missed + _GRACE)
        while self._deadlines and self._deadlines[0][0] <= loop.time():
            deadline, name = heappop(self._deadlines)
            late = self._running.get(name)
            if late is not None and late.trace.deadline == deadline:
                attempt(partial(late.stop, "deadline"), "deadlines")
        while self._deadlines and self._deadlines[0][1] not in self._running:
            heappop(self._deadlines)
        self._alarm = None
        if self._deadlines:
            self._set_alarm(self._deadlines[0][0])

    def _set_alarm(self, at: float) -> None:
        """The time is kept here: uvloop's handles of less than half a millisecond do not know theirs."""
        self._alarm_at = at
        self._alarm = asyncio.get_running_loop().call_at(at, self._ring)

    def _put_off(self, seconds: float) -> None:
        """Extends deadlines by the time for which this process was suspended."""
        self._deadlines = []
        for name, running in self._running.items():
            if running.trace.deadline is not None:
                running.trace.deadline += seconds
                self._deadlines.append((running.trace.deadline, name))
        heapify(self._deadlines)

    def _resumable(self, name: Name) -> bool:
        """Whether a finished request is still stored under this name for resume."""
        past = self._past.get(name)
        return past is not None and past.buffer is not None

    def remember(self, count: int) -> None:
        """Sets how many finished requests are remembered."""
        self._remembered = count
        self._forget()

    def _forget(self) -> None:
        while len(self._past) > self._remembered:
            self._uids.pop(self._past.popitem(last=False)[1].uid, None)

    def _settle(self, running: Running, _: object = None) -> None:
        """The one place where a request ends: exactly once, whatever happened."""
        running.settle()
        try:
            self._record_end(running)
        finally:
            running.tell_end()

    def _record_end(self, running: Running) -> None:
        name = (running.owner, running.id)
        self._running.pop(name, None)
        if self._uids and (before := self._past.get(name)) is not None:
            self._uids.pop(before.uid, None)
        if name in self._past:
            del self._past[name]  # a later one of the same name is younger
        self._past[name] = running
        if len(self._past) > self._remembered:
            self._forget()
        if self._idle is not None and not self._running:
            self._idle.set()
            self._idle = None
        running.forget()
        if self._ended is not None:
            self._ended(running)
        if len(running.trace.tries) > 1:
            running.tries_left_out = thinned(running.trace.tries)
        if running.trace.content is not None:
            self._keep_content(running.trace, running.trace.content)
        if running.error is not None:
            forget_traceback(running.error)

    def _keep_content(self, trace: Trace, content: Content) -> None:
        """Stores the content of the last requests, within one limit for all of them."""
        if not content.most:  # it was only for a collector
            trace.content = None
            return
        self._with_content.append(trace)
        self._content_bytes += content.size
        while self._with_content and (
            self._content_bytes > CONTENT_BYTES or len(self._with_content) > self._remembered
        ):
            oldest = self._with_content.popleft()
            self._content_bytes -= oldest.content.size if oldest.content is not None else 0
            oldest.content = None


async def ended(*requests: Running) -> None:
    """Waits until these have ended. If the waiting code is cancelled, they continue."""
    for one in requests:
        await one.over()
