"""One request: its task, its outcome, and the one way to stop it."""

from __future__ import annotations

import asyncio
import time
from asyncio import BaseTransport
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmproxy.config import OnDisconnect
from llmproxy.core.adapter import Translator
from llmproxy.core.errors import Cancelled, GatewayError, LifecycleError, StoreError
from llmproxy.core.lifecycle import COMPLETED, STOPPED, Outcome, Phase, State, failed
from llmproxy.core.opener import Reply
from llmproxy.core.trace import Trace
from llmproxy.core.usage import Usage
from llmproxy.observe.log import log
from llmproxy.observe.periodic import where

if TYPE_CHECKING:
    from .replay_buffer import ReplayBuffer


@dataclass(slots=True, eq=False)
class Running:
    """One request. `started_at` is Unix seconds; the other times are time.monotonic(), because uvloop's clock has only
    milliseconds.

    outcome: None until the end is made; then it never changes. error: the error for the client.
    """

    id: str
    owner: str
    model: str  # as the client named it
    stream: bool
    trace: Trace
    started: float
    started_at: float
    face: str = "chat"
    task: asyncio.Task[Any] = field(init=False)
    outcome: Outcome | None = None
    error: GatewayError | None = None
    reply: Reply | None = None
    first_frame: float | None = None
    asked_to_stop: float | None = None
    ended: float | None = None
    buffer: ReplayBuffer | None = None  # its frames, if it can be resumed
    leaving: OnDisconnect = "cancel"  # what happens when its last reader disconnects
    readers: int = 0  # number of readers of its replay buffer
    refused: GatewayError | None = None  # why it was refused before it began: its readers get it as an HTTP status
    headers: Mapping[str, str] = field(default_factory=dict)  # further response headers for its readers
    thread_id: str | None = None  # the thread to which its answer belongs
    transport: BaseTransport | None = None  # the client's connection, if the answer is written to it directly
    charge: Any = None  # its part of the key's limits; released by the code that ends the request
    uid: str = ""  # our own ID, which names the replica; empty if the ID is ours
    cost_e12: int | None = None  # of all attempts, after the end
    bytes_in: int | None = None  # of the client's body
    bytes_out: int | None = None  # written to the client, or to the replay buffer
    tries_left_out: int = 0  # attempts that are not remembered, if there were very many
    _awaited: tuple[asyncio.Future[None], ...] = ()  # of those who wait for its end
    _begun: bool = False  # its task has made its first step
    _late_stop: asyncio.Handle | None = None  # carries out a stop that came before the first step
    _usage: Usage | None = None  # the last known usage, after the reply was released
    _tokens: tuple[int, bool] = (0, True)

    async def work(self, work: Callable[[Running], Coroutine[Any, Any, Any]]) -> Any:
        """The body of its task. `work` calls `begin` first, at a place where it can report the end."""
        self._begun = True
        if self.outcome is not None:
            self._late_stop = asyncio.get_running_loop().call_soon(self.task.cancel)  # if `work` did not call `begin`
        try:
            return await work(self)
        except Exception as error:  # noqa: BLE001  # a kept exception would keep the request's data alive
            self._broke(error)

    def _broke(self, error: Exception) -> None:
        if isinstance(error, GatewayError) and not isinstance(error, LifecycleError):
            self.fail(error)
        else:
            self.crash(error)

    @contextmanager
    def decides(self) -> Iterator[None]:
        """Fixes the outcome when the block ends, however it ends. Only CancelledError leaves the block."""
        try:
            yield
            self.complete()
        except asyncio.CancelledError:
            self.left()  # unless it was stopped
            raise
        except Exception as error:  # noqa: BLE001  # as in `work`
            self._broke(error)

    def begin(self) -> None:
        """Carries out a stop that came before the first step: raises CancelledError."""
        if self._late_stop is not None:
            self._late_stop.cancel()
            raise asyncio.CancelledError

    def stop(self, by: str) -> bool:
        """The only way to stop it, in any phase. Returns whether this call stopped it; after its end is made, no call does."""
        if not self._decide(STOPPED[by], Cancelled.because(by)):
            return False
        self.asked_to_stop = time.monotonic()
        if self._begun:
            self.task.cancel()
        return True

    def left(self) -> None:
        """The client has disconnected. The request's own task found this while writing, and ends by itself."""
        if self._decide(STOPPED["client_disconnect"], Cancelled.because("client_disconnect")):
            self.asked_to_stop = time.monotonic()

    def complete(self) -> None:
        """The answer is complete: call this just before the terminator is sent."""
        if self.outcome is None:
            self.outcome = COMPLETED

    def fail(self, error: GatewayError) -> None:
        """The request ends with an error: call this just before the error is sent."""
        if isinstance(error, Cancelled):
            self._decide(STOPPED[error.extra.get("by", "api")], error)
        else:
            self._decide(failed(error.code, error.status), error)

    def unkept(self, error: StoreError) -> None:
        """The answer could not be stored: this becomes the outcome, because no outcome was sent before."""
        self.outcome, self.error = failed(error.code, error.status), error

    def crash(self, error: BaseException) -> GatewayError:
        """An internal error, logged with its place. Returns the error for the client."""
        facts: dict[str, object] = {"phase": self.phase, "failure": type(error).__name__, "where": where(error)}
        if isinstance(error, LifecycleError):
            facts |= {"phase": error.phase, "event_met": error.event}
        log.error("internal_error", id=self.id, **facts)
        failure = GatewayError("The gateway failed. The log says where.", code="internal_error")
        self.fail(failure)
        return failure

    def began(self, reply: Reply) -> None:
        """The first content chunk has arrived."""
        self.reply = reply
        self.first_frame = time.monotonic()

    @property
    def phase(self) -> Phase:
        if self.ended is not None:
            return "ended"
        return "finishing" if self.outcome is not None else self.trace.phase

    @property
    def state(self) -> State:
        return "running" if self.outcome is None else self.outcome.state

    @property
    def by(self) -> str | None:
        """The cause of the stop."""
        return self.outcome.stopped_by if self.outcome is not None else None

    @property
    def status(self) -> int:
        return 200 if self.outcome is None else self.outcome.status

    @property
    def usage(self) -> Usage | None:
        """The provider's usage so far."""
        return self.reply.translator.usage if self.reply is not None else self._usage

    @property
    def tokens(self) -> tuple[int, bool]:
        """Completion tokens so far, and whether they are estimated from the length of the text."""
        return self._tokens if self.reply is None else self._counted(self.reply.translator, self.usage)

    def _counted(self, translator: Translator, usage: Usage | None) -> tuple[int, bool]:
        counted = usage.completion if usage is not None else None
        if counted or (counted is not None and self.ended is not None and not translator.produced):
            return counted, False
        return (translator.produced + 3) // 4, True

    @property
    def closed_ms(self) -> float | None:
        """Milliseconds from the stop, or from the client's disconnect, until everything was closed."""
        if self.ended is None or self.asked_to_stop is None:
            return None
        return round((self.ended - self.asked_to_stop) * 1000, 3)

    def forget(self) -> None:
        """Keeps the numbers and releases the answer."""
        if self.reply is not None:
            self._usage = self.usage
            self._tokens, self.reply = self._counted(self.reply.translator, self._usage), None
        if self.buffer is not None:
            self.bytes_out = self.buffer.written

    def over(self) -> asyncio.Future[None]:
        """Done when it has ended. Cancelling it does not stop the request. As asyncio.wait for one task, at a third of its cost."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.ended is None:
            self._awaited += (over,)
        else:
            over.set_result(None)
        return over

    def tell_end(self) -> None:
        """Wakes those who wait for its end."""
        for over in self._awaited:
            if not over.done():
                over.set_result(None)
        self._awaited = ()

    def settle(self) -> None:
        """Its task has ended. If no outcome was fixed before, the task's result decides it."""
        if self.task.cancelled():  # without a stop, it was cancelled from outside: the event loop has ended
            self.left()
            with suppress(asyncio.CancelledError):
                self.task.exception()  # marks the exception as retrieved, so that the task releases it and its frames
        elif self.outcome is None:
            self.complete()
        self.ended = time.monotonic()
        self.transport = None

    def _decide(self, outcome: Outcome, error: GatewayError | None = None) -> bool:
        if self.outcome is not None:
            return False
        self.outcome, self.error = outcome, error
        return True
