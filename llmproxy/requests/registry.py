"""Registry of running requests, each a task that can be stopped by its ID, and of the last finished ones."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from heapq import heapify, heappop, heappush
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


CONTENT_BYTES = 64 * 1024 * 1024  # of what was said in all requests that have ended
_GRACE = 5.0  # seconds to read what waits, after this process was stopped
Name = tuple[str, str]  # owner and id: what one key calls its requests is no other's business


class RequestRegistry:
    """Owns every request's task: starts it, knows it while it runs, remembers it for a while."""

    def __init__(self, *, remembered: int = 1000, ended: Callable[[Running], None] | None = None) -> None:
        self._running: dict[Name, Running] = {}
        self._past: OrderedDict[Name, Running] = OrderedDict()
        self._remembered = remembered
        self._ended = ended
        self._idle = asyncio.Event()
        self._idle.set()
        self._deadlines: list[tuple[float, Name]] = []  # a heap
        self._alarm: asyncio.TimerHandle | None = None
        self._said: deque[Trace] = deque()  # those with content, the oldest first
        self._said_bytes = 0
        self.fresh: Callable[[], str] = fresh_id  # an id that nobody can guess
        self.tag = ""  # what ours begin with, where there are other replicas
        self._uids: dict[str, Name] = {}

    def name_replica(self, tag: str) -> None:
        """From now on every request has an id of ours that begins with the tag, beside its client's own if it has one."""
        self.tag = tag
        self.fresh = lambda: tag + fresh_id()

    def made(self, id: str) -> bool:
        """Whether an id is one of ours, which no other replica knows a request by."""
        return bool(self.tag) and id.startswith(self.tag)

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Running]:
        return iter(list(self._running.values()))

    def recent(self) -> Iterator[Running]:
        """Those that ended, the last one first."""
        return reversed(self._past.values())

    def free_id(self, wanted: str | None = None, owner: str = "") -> str:
        """The client's own id if no other request of its owner has it, else an unguessable one."""
        if wanted and (owner, wanted) not in self._running and not self._resumable((owner, wanted)):
            return wanted
        return self.fresh()

    def start(self, id: str, owner: str, chat: Chat, work: Callable[[Running], Coroutine[Any, Any, Any]]) -> Running:
        """Starts the one task of a request. The caller waits for `.task` with `asyncio.wait`, or leaves it to us.

        Raises GatewayError if a request of this id came in between.
        """
        name = (owner, id)
        if name in self._running:
            raise GatewayError("A request with this id is being answered.", status=409, code="request_id_in_use")
        named = str(chat.body.get("model") or chat.model)
        running = Running(id, owner, named, chat.stream, chat.trace, time.monotonic(), time.time(), chat.face)
        if self.tag and not self.made(id):
            running.uid = self.fresh()
            self._uids[running.uid] = name
        self._running[name] = running
        self._idle.clear()
        running.task = asyncio.get_running_loop().create_task(running.work(work))
        running.task.add_done_callback(lambda _: self._settle(running))
        if chat.trace.deadline is not None:
            self._limit(chat.trace.deadline, name)
        return running

    def get(self, id: str, owner: str | None = None) -> Running | None:
        """The owner's request of that id, the client's or ours; without an owner anybody's, the newest first."""
        name = self._uids.get(id, (owner or "", id)) if self._uids else (owner or "", id)
        if owner is not None:
            found = self._running.get(name) or self._past.get(name)
            return found if name[0] == owner else None
        if id in self._uids:
            return self._running.get(name) or self._past.get(name)
        return next((one for one in (*self, *self.recent()) if one.id == id), None)

    def stop_all(self, by: str, which: Callable[[Running], bool] = lambda _: True) -> list[Running]:
        """Stops every request that `which` says; gives those that this call has stopped."""
        return [running for running in self if which(running) and running.stop(by)]

    async def idle(self) -> None:
        """Returns when nothing runs."""
        await self._idle.wait()

    def _limit(self, deadline: float, name: Name) -> None:
        """One timer for all deadlines, set for the earliest: a timer for every request costs as much as its routing."""
        if len(self._deadlines) > 2 * len(self._running) + 1000:  # most of them ended long before
            self._deadlines = [one for one in self._deadlines if one[1] in self._running]
            heapify(self._deadlines)
        heappush(self._deadlines, (deadline, name))
        if self._deadlines[0][0] == deadline:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = asyncio.get_running_loop().call_at(deadline, self._ring)

    def _ring(self) -> None:
        loop = asyncio.get_running_loop()
        if self._alarm is not None and (missed := loop.time() - self._alarm.when()) > LATE:
            self._put_off(missed + _GRACE)
        while self._deadlines and self._deadlines[0][0] <= loop.time():
            deadline, name = heappop(self._deadlines)
            late = self._running.get(name)
            if late is not None and late.trace.deadline == deadline:
                attempt(partial(late.stop, "deadline"), "deadlines")
        while self._deadlines and self._deadlines[0][1] not in self._running:
            heappop(self._deadlines)
        self._alarm = loop.call_at(self._deadlines[0][0], self._ring) if self._deadlines else None

    def _put_off(self, seconds: float) -> None:
        """The time in which this process was stopped is not the requests' own."""
        self._deadlines = []
        for name, running in self._running.items():
            if running.trace.deadline is not None:
                running.trace.deadline += seconds
                self._deadlines.append((running.trace.deadline, name))
        heapify(self._deadlines)

    def _resumable(self, name: Name) -> bool:
        """Whether a request that ended is still kept under this name for those who resume it."""
        past = self._past.get(name)
        return past is not None and past.buffer is not None

    def remember(self, count: int) -> None:
        """How many of those that ended are known from now on."""
        self._remembered = count
        self._forget()

    def _forget(self) -> None:
        while len(self._past) > self._remembered:
            self._uids.pop(self._past.popitem(last=False)[1].uid, None)

    def _settle(self, running: Running) -> None:
        """The one place where a request ends: exactly once, whatever happened."""
        running.settle()
        name = (running.owner, running.id)
        self._running.pop(name, None)
        if self._uids and (before := self._past.get(name)) is not None:
            self._uids.pop(before.uid, None)
        self._past[name] = running
        self._past.move_to_end(name)
        self._forget()
        if not self._running:
            self._idle.set()
        running.forget()
        if self._ended is not None:
            self._ended(running)
        running.tries_left_out = thinned(running.trace.tries)
        if running.trace.content is not None:
            self._keep_content(running.trace, running.trace.content)
        forget_traceback(running.error)

    def _keep_content(self, trace: Trace, content: Content) -> None:
        """What was said is kept of the last requests, within a bound for all of them together."""
        self._said.append(trace)
        self._said_bytes += content.size
        while self._said and (self._said_bytes > CONTENT_BYTES or len(self._said) > self._remembered):
            oldest = self._said.popleft()
            self._said_bytes -= oldest.content.size if oldest.content is not None else 0
            oldest.content = None


async def ended(*requests: Running) -> None:
    """Waits until these have ended, without a hand in it: a cancel of who waits stops none of them."""
    for one in requests:
        if one.ended is None:
            await _end_of(one.task)


async def _end_of(task: asyncio.Task[Any]) -> None:
    """As asyncio.wait for one task, at a third of its cost: every request is waited for once."""
    over = asyncio.get_running_loop().create_future()

    def tell(_: object) -> None:
        if not over.done():
            over.set_result(None)

    task.add_done_callback(tell)
    try:
        await over
    finally:
        task.remove_done_callback(tell)
