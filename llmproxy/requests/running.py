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
    """One request. `started_at` is Unix seconds; the other times are time.monotonic(), as uvloop's clock ticks in milliseconds.

    outcome: None until its end is made; from then on it stands, whatever happens. error: what its client is told.
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
    buffer: ReplayBuffer | None = None  # its frames, if it may be resumed
    leaving: OnDisconnect = "cancel"  # what becomes of it when its last reader has left
    readers: int = 0  # how many follow its replay buffer now
    refused: GatewayError | None = None  # why it never began: its readers are told by status
    headers: Mapping[str, str] = field(default_factory=dict)  # what its readers are told beside the stream
    thread_id: str | None = None  # the thread that it answers in
    transport: BaseTransport | None = None  # the client's connection, while it is answered directly
    charge: Any = None  # what it takes of its key's limits, for who ends that
    uid: str = ""  # ours, which names the replica; empty: the id is
    cost_e12: int | None = None  # of all attempts, once it has ended
    bytes_in: int | None = None  # of the client's body
    bytes_out: int | None = None  # that were written to the client, or to the replay buffer that it is read from
    tries_left_out: int = 0  # attempts that are not remembered, of a request that made very many
    _begun: bool = False  # its task has made its first step
    _late_stop: asyncio.Handle | None = None  # carries out a stop that came before
    _usage: Usage | None = None  # the last known, once the reply is let go
    _tokens: tuple[int, bool] = (0, True)

    async def work(self, work: Callable[[Running], Coroutine[Any, Any, Any]]) -> Any:
        """The body of its task. `work` calls `begin` first, where it can tell the end."""
        self._begun = True
        if self.outcome is not None:
            self._late_stop = asyncio.get_running_loop().call_soon(self.task.cancel)  # for work that does not
        with self._fails():
            return await work(self)

    @contextmanager
    def decides(self) -> Iterator[None]:
        """Around all that makes the answer: however it is left, the outcome is fixed. Only a cancel is raised on."""
        with self._fails():
            try:
                yield
                self.complete()
            except asyncio.CancelledError:
                self.left()  # unless somebody stopped it
                raise

    @contextmanager
    def _fails(self) -> Iterator[None]:
        try:
            yield
        except LifecycleError as error:
            self.crash(error)
        except GatewayError as error:
            self.fail(error)
        except Exception as error:  # noqa: BLE001  # a task that keeps an exception keeps its frames, and the question in them
            self.crash(error)

    def begin(self) -> None:
        """Carries out a stop that came before the first step: raises CancelledError."""
        if self._late_stop is not None:
            self._late_stop.cancel()
            raise asyncio.CancelledError

    def stop(self, by: str) -> bool:
        """The only way to stop it, in whatever phase it is. Whether this call did: once its end is made, none does."""
        if not self._decide(STOPPED[by], Cancelled.because(by)):
            return False
        self.asked_to_stop = time.monotonic()
        if self._begun:
            self.task.cancel()
        return True

    def left(self) -> None:
        """Its client has left, which its own task found out by writing to it, and ends by itself."""
        if self._decide(STOPPED["client_disconnect"], Cancelled.because("client_disconnect")):
            self.asked_to_stop = time.monotonic()

    def complete(self) -> None:
        """The end of the answer is made: call it just before the terminator is handed on."""
        self._decide(COMPLETED)

    def fail(self, error: GatewayError) -> None:
        """The end is an error: call it just before the error is handed on."""
        if isinstance(error, Cancelled):
            self._decide(STOPPED[error.extra.get("by", "api")], error)
        else:
            self._decide(failed(error.code, error.status), error)

    def unkept(self, error: StoreError) -> None:
        """Its answer could not be kept: that is what is told, as nothing was told before."""
        self.outcome, self.error = failed(error.code, error.status), error

    def crash(self, error: BaseException) -> GatewayError:
        """A mistake of the gateway's, logged with its place. Gives what the client is told."""
        facts: dict[str, object] = {"phase": self.phase, "failure": type(error).__name__, "where": where(error)}
        if isinstance(error, LifecycleError):
            facts |= {"phase": error.phase, "event_met": error.event}
        log.error("internal_error", id=self.id, **facts)
        told = GatewayError("The gateway failed. The log says where.", code="internal_error")
        self.fail(told)
        return told

    def began(self, reply: Reply) -> None:
        """The first real frame is there."""
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
        """Who stopped it."""
        return self.outcome.stopped_by if self.outcome is not None else None

    @property
    def status(self) -> int:
        return 200 if self.outcome is None else self.outcome.status

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
        counted = translator.usage.completion if translator.usage is not None else None
        if counted or (counted is not None and self.ended is not None and not translator.produced):
            return counted, False
        return (translator.produced + 3) // 4, True

    @property
    def closed_ms(self) -> float | None:
        """From the stop, or from when we knew that its client had left, until everything was closed."""
        if self.ended is None or self.asked_to_stop is None:
            return None
        return round((self.ended - self.asked_to_stop) * 1000, 3)

    def forget(self) -> None:
        """Keeps the numbers and lets the answer go."""
        self._usage, self._tokens = self.usage, self.tokens
        self.reply = None
        if self.buffer is not None:
            self.bytes_out = self.buffer.written

    def settle(self) -> None:
        """Its task is over. What had not been decided is decided by how it ended."""
        if self.task.cancelled():  # if nobody stopped it, by something that is not ours: the end of the event loop
            self.left()
            with suppress(asyncio.CancelledError):
                self.task.exception()  # asked for, the task lets go of it and of all its frames
        else:
            self.complete()
        self.ended = time.monotonic()
        self.transport = None

    def _decide(self, outcome: Outcome, error: GatewayError | None = None) -> bool:
        if self.outcome is not None:
            return False
        self.outcome, self.error = outcome, error
        return True
