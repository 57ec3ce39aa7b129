"""Tracing data of a running request: phases, attempts, dropped parameters, times."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import LifecycleError
from .flight import Gaps, Wait, WaitKind, Why, thinned
from .lifecycle import RANK, Event, Phase, after
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
    cost: float | None = None  # as the provider says
    provider_id: str | None = None  # what the provider calls it
    produced: int = 0  # bytes of what was said
    cost_e12: int | None = None  # in 1e-12 dollars, where a budget was asked; until it ends what is held for it
    price_id: str | None = None
    why: Why = "first"
    sent_at: float | None = None
    headers_at: float | None = None
    status: int | None = None  # the provider's
    reused: bool | None = None  # whether its connection was there already
    asks: int = 0  # requests that went out: more than one where a kept connection was dead, or something was left out
    bytes_out: int | None = None  # of the request's body
    bytes_in: int | None = None  # of all that came, the head included; known when it has ended
    gaps: Gaps | None = None  # in the answer, from its first frame on
    most_tokens: int | None = None  # of output, that the client asked for; of an attempt that was stopped

    def went_out(self) -> None:
        """The request is sent. Called again where it had to be sent again."""
        self.sent, self.sent_at = True, time.monotonic()
        self.asks += 1

    def end(self, state: AttemptState, code: str | None = None) -> None:
        """It ends once; later ends change nothing."""
        if self.ended is None:
            self.ended, self.state, self.code = time.monotonic(), state, code

    def record(self) -> AttemptRecord:
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
            _ms(self.started, self.first_frame),
            _ms(self.started, self.ended),
            self.provider_id,
            self.cost_e12,
            self.price_id,
        )


@dataclass(slots=True)
class Trace:
    """What has happened to one request so far: written by those who carry it, read by whoever is asked about it.

    listener: told of every event that the request itself meets, after it has changed the phase.
    parent: of a trace that belongs to one of several attempts at once. lost: another attempt has won.
    together: the attempts are parts of one answer, which has begun when all of them have; who joins them says so.
    affinity: the client's wish that the turns of its conversation meet one provider; None: as the config says.
    cache: whether the answer was kept, was in the making for another request, or is made; None: it is not shared.
    conversation: the same in every turn, for adapters that tell their provider which turns belong together; never sent itself.
    """

    id: str = ""
    created: int = 0  # Unix seconds when the gateway took it in
    phase: Phase = "received"
    provider: str | None = None
    model: str | None = None
    attempts: int = 0
    route: str | None = None  # why the router chose what it chose
    dropped: list[str] = field(default_factory=list)  # parameters the provider could not be given
    deadline: float | None = None  # on the event loop's clock
    wait: float = 0.0  # seconds of the current backoff
    position: int | None = None  # place in an upstream's queue
    queued: float = 0.0  # seconds waited there
    failures: list[str] = field(default_factory=list)  # codes of the attempts that failed
    tries: list[Attempt] = field(default_factory=list)
    listener: Callable[[Event], None] | None = None
    parent: Trace | None = None
    lost: bool = False
    together: bool = False
    owner: str = ""  # the name of the key that asks
    group: str = ""  # of that key
    measure: Measure | None = None  # of what is asked, once somebody wants to know
    context: TraceContext | None = None  # of its spans, where those are recorded or passed on
    purse: Purse | None = None  # what it may spend, where that is limited
    headers: dict[str, str] = field(default_factory=dict)  # what its client is told of limits and budgets
    waits: list[Wait] = field(default_factory=list)
    content: Content | None = None  # what was said, where the operator has that kept
    affinity: bool | None = None
    conversation: bytes | None = None
    cache: CacheResult | None = None

    def step(self, event: Event) -> None:
        """Moves to the next phase. Raises LifecycleError for an event that cannot happen in this phase."""
        phase = after(self.phase, event)
        if phase is None:
            raise LifecycleError(self.phase, event)
        self.phase = phase
        if self.listener is not None:
            self.listener(event)
        if self.parent is not None:
            self.parent.met(self, event)

    def met(self, branch: Trace, event: Event) -> None:
        """An event of one of several attempts: the request shows the furthest, and is not moved back by another."""
        if RANK[branch.phase] < RANK[self.phase] or (branch.together and branch.phase == "streaming"):
            return
        self.phase, self.position, self.wait = branch.phase, branch.position, branch.wait
        self.provider, self.model = branch.provider, branch.model
        if self.listener is not None:
            self.listener(event)
        if self.parent is not None:
            self.parent.met(self, event)

    def waited(self, seconds: float) -> None:
        """In an upstream's queue; the request has waited as well."""
        self.queued += seconds
        if self.parent is not None:
            self.parent.waited(seconds)

    def wait_for(self, kind: WaitKind, code: str | None = None) -> Wait:
        """Begins a wait, which who began it ends."""
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
        self.tries.append(attempt)
        self.step("dial")
        return attempt

    def _why(self, provider: str, model: str) -> Why:
        """What the next attempt is, seen from those before it."""
        if self.attempts:
            return "retry" if (self.provider, self.model) == (provider, model) else "failover"
        if self.together:
            return "part"
        if not self.tries:
            return "first"
        return "hedge" if any(one.ended is None for one in self.tries) else "failover"

    def branch(self, *, together: bool = False) -> Trace:
        """The trace of one of several attempts at once. What it drops and how it fails is the request's own."""
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


def _ms(since: float, until: float | None) -> float | None:
    return round((until - since) * 1000, 2) if until is not None else None
