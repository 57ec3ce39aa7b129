"""Tracing data of a running request: phases, attempts, dropped parameters, times."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import LifecycleError
from .flight import Gaps, Wait, WaitKind, Why, thinned
from .lifecycle import PROGRESS, RANK, Event, Phase
from .record import AttemptRecord, AttemptState, CacheResult
from .usage import Tokens, UsageSource

if TYPE_CHECKING:
    from .flight import Content
    from .measure import Measure
    from .metering import Purse
    from .trace_context import TraceContext


@dataclass(slots=True)
class Attempt:
    """One call of one provider. Times are time.monotonic()."""

    number: int
    provider: str
    model: str
    started: float
    state: AttemptState = "opening"
    code: str | None = None
    sent: bool = False
    first_frame: float | None = None
    ended: float | None = None
    tokens: Tokens | None = None
    usage_source: UsageSource = "none"
    cost: float | None = None  # in dollars, as the provider reports
    provider_id: str | None = None  # the provider's ID of the answer
    produced: int = 0  # bytes of content
    # in 1e-12 dollars, if there is a budget; the amount that is held until the attempt ends
    cost_e12: int | None = None
    price_id: str | None = None
    why: Why = "first"
    sent_at: float | None = None
    headers_at: float | None = None
    status: int | None = None  # the provider's
    reused: bool | None = None  # whether an existing connection was reused
    # requests that were sent: more than one if a reused connection was closed, or a parameter was removed
    asks: int = 0
    bytes_out: int | None = None  # of the request body
    bytes_in: int | None = None  # received, including the head; known at the end
    gaps: Gaps | None = None  # in the answer, after its first frame
    most_tokens: int | None = None  # output tokens that the client allowed; for a stopped attempt

    def went_out(self) -> None:
        """The request was sent. Called again if it is sent again."""
        self.sent, self.sent_at = True, time.monotonic()
        self.asks += 1

    def end(self, state: AttemptState, code: str | None = None) -> None:
        """Ends the attempt; further calls change nothing."""
        if self.ended is None:
            self.ended, self.state, self.code = time.monotonic(), state, code

    def record(self, cost_e12: int | None, price_id: str | None) -> AttemptRecord:
        started, first, ended = self.started, self.first_frame, self.ended
        return AttemptRecord(
            self.number,
            self.provider,
            self.model,
            self.state,
            self.code,
            self.sent,
            self.tokens,
            self.usage_source,
            self.cost,
            None if first is None else round((first - started) * 1000, 2),
            None if ended is None else round((ended - started) * 1000, 2),
            self.provider_id,
            cost_e12,
            price_id,
        )


@dataclass(slots=True)
class Trace:
    """What has happened to one request so far. The code that handles the request writes it; status calls and the log
    read it.

    listener: called for every event of the request, after the phase was changed.
    parent: set if this trace belongs to one of several attempts at the same time. lost: another attempt has won.
    together: the attempts are parts of one answer, which has begun when all of them have; the code that joins them
    reports it.
    affinity: whether the client wants all turns of its conversation at one provider; None: as configured.
    cache: whether the answer was stored, was being made for another request, or is made now; None: it is not shared.
    conversation: the same value in every turn, for adapters that tell their provider which turns belong together; never
    sent itself.
    """

    id: str = ""
    created: int = 0  # Unix seconds when the gateway received it
    phase: Phase = "received"
    provider: str | None = None
    model: str | None = None
    attempts: int = 0
    route: str | None = None  # how the model name was resolved
    dropped: list[str] = field(default_factory=list)  # parameters that were removed for the provider
    deadline: float | None = None  # on the event loop's clock
    wait: float = 0.0  # seconds of the current wait before a retry
    position: int | None = None  # position in the queue of a provider
    queued: float = 0.0  # seconds waited in queues
    failures: list[str] = field(default_factory=list)  # codes of failed attempts
    tries: list[Attempt] = field(default_factory=list)
    listener: Callable[[Event], None] | None = None
    parent: Trace | None = None
    lost: bool = False
    together: bool = False
    owner: str = ""  # name of the key
    group: str = ""  # of that key
    measure: Measure | None = None  # size of the request, once it was measured
    context: TraceContext | None = None  # for its spans, if they are recorded or passed on
    purse: Purse | None = None  # what it may spend, if there is a budget
    headers: dict[str, str] = field(default_factory=dict)  # headers for the client about limits and budgets
    waits: list[Wait] = field(default_factory=list)
    content: Content | None = None  # request and answer, if the operator stores them
    affinity: bool | None = None
    conversation: bytes | None = None
    cache: CacheResult | None = None

    def step(self, event: Event) -> None:
        """Moves to the next phase. Raises LifecycleError for an event that is impossible in this phase."""
        steps = PROGRESS[self.phase]
        if event not in steps:
            raise LifecycleError(self.phase, event)
        self.phase = steps[event]
        if self.listener is not None:
            self.listener(event)
        if self.parent is not None:
            self.parent.met(self, event)

    def met(self, branch: Trace, event: Event) -> None:
        """An event of one of several attempts: the request shows the furthest phase; another attempt does not move it
        back.
        """
        if RANK[branch.phase] < RANK[self.phase] or (branch.together and branch.phase == "streaming"):
            return
        self.phase, self.position, self.wait = branch.phase, branch.position, branch.wait
        self.provider, self.model = branch.provider, branch.model
        if self.listener is not None:
            self.listener(event)
        if self.parent is not None:
            self.parent.met(self, event)

    def waited(self, seconds: float) -> None:
        """Adds a wait in a provider's queue, also to the request's total."""
        self.queued += seconds
        if self.parent is not None:
            self.parent.waited(seconds)

    def wait_for(self, kind: WaitKind, code: str | None = None) -> Wait:
        """Begins a wait. The caller ends it."""
        wait = Wait(kind, time.monotonic(), code=code)
        self.waits.append(wait)
        thinned(self.waits)
        return wait

    def dial(self, provider: str, model: str) -> Attempt:
        """Begins a further attempt."""
        why = self._why(provider, model)
        self.provider, self.model = provider, model
        top = self
        while top.parent is not None:
            top = top.parent
            top.attempts += 1
        self.attempts += 1
        attempt = Attempt(top.attempts, provider, model, time.monotonic(), why=why)
        self.tries += (attempt,)
        self.step("dial")
        return attempt

    def _why(self, provider: str, model: str) -> Why:
        """Why the next attempt is made, derived from the earlier ones."""
        if self.attempts:
            return "retry" if (self.provider, self.model) == (provider, model) else "failover"
        if self.together:
            return "part"
        if not self.tries:
            return "first"
        return "hedge" if any(one.ended is None for one in self.tries) else "failover"

    def branch(self, *, together: bool = False) -> Trace:
        """A trace for one of several attempts at the same time. Dropped parameters and failures are shared with the
        request.
        """
        return Trace(
            self.id,
            self.created,
            dropped=self.dropped,
            deadline=self.deadline,
            failures=self.failures,
            tries=self.tries,
            parent=self,
            together=together,
            owner=self.owner,
            group=self.group,
            measure=self.measure,
            context=self.context,
            purse=self.purse,
            headers=self.headers,
            waits=self.waits,
            affinity=self.affinity,
            conversation=self.conversation,
        )
