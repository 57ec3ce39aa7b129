"""Circuit breaker of one provider: one circuit per model, and one for the provider."""

from __future__ import annotations

from collections import OrderedDict
from types import TracebackType

from llmproxy.config import Breaker
from llmproxy.core.chat import Chat
from llmproxy.core.clock import Clock, loop_time
from llmproxy.core.errors import BreakerOpen, UpstreamError
from llmproxy.core.opener import Opener, Opening, Reply

from .circuit import Circuit

_MODELS = 256  # circuits that are kept; clients choose the names


class Breakers:
    """One circuit for each model, and one for the provider as a whole.

    The provider's counts failures that concern every model (no connection, a refused key), and each model that fails
    once: it opens when it cannot be reached, or when model after model fails and none answers. What the breaker hears
    is one verdict per request, after all retries; a client's mistake, a full quota and a cancel are none. name: the
    provider's, for those who are refused.
    """

    def __init__(self, settings: Breaker, *, name: str = "The provider", clock: Clock = loop_time) -> None:
        self._name = name
        self._last = ""  # what failed last, in our words: a provider's own may repeat somebody's question
        self._settings = settings
        self._clock = clock
        self._whole = Circuit(settings)
        self._models: OrderedDict[str, Circuit] = OrderedDict()  # oldest first
        self._failing: set[str] = set()  # models that failed since the last complete answer of any

    @property
    def state(self) -> str:
        """`closed`, `open` or `half_open`; also `open` where nothing but models that are left alone was asked of late."""
        now = self._clock()
        states = [self._models[model].state(now) for model in self._failing if model in self._models]
        if "closed" in states or not states or self._whole.state(now) != "closed":
            return self._whole.state(now)
        return "half_open" if "half_open" in states else "open"

    @property
    def left_alone(self) -> list[str]:
        """The models whose own circuit is open."""
        now = self._clock()
        return sorted(model for model, circuit in self._models.items() if circuit.state(now) == "open")

    def refuses(self, model: str) -> bool:
        """Whether a request for this model would be refused now."""
        now, circuit = self._clock(), self._models.get(model)
        return self._whole.refuses(now) is not None or (circuit is not None and circuit.refuses(now) is not None)

    def admit(self, model: str) -> Permit:
        """Lets a request pass. Raises BreakerOpen."""
        circuit = self._models.get(model)
        self._check(self._whole, self._name)
        if circuit is not None:
            self._check(circuit, f"{self._name}/{model}")
        return Permit(model, self._whole.enter(), circuit is not None and circuit.enter())

    def answered(self, permit: Permit) -> None:
        self._whole.answered()
        if circuit := self._models.get(permit.model):
            circuit.answered()

    def finished(self, permit: Permit) -> None:
        now = self._clock()
        self._failing.clear()
        self._whole.finished(now)
        self._circuit(permit.model).finished(now)

    def failed(self, permit: Permit, error: UpstreamError) -> None:
        """No answer, or one that broke in the middle."""
        if not error.blames:
            return
        now = self._clock()
        self._last = f"{error.code or 'an error'}, status {error.status}"
        if error.provider_wide:
            self._whole.failed(now, probe=permit.probes_provider)
            return
        if permit.probes_provider:  # it can be reached again
            self._whole.reached()
        if permit.model not in self._failing:
            self._failing.add(permit.model)
            self._whole.failed(now)
        self._circuit(permit.model).failed(now, probe=permit.probes_model)

    def over(self, permit: Permit) -> None:
        if permit.probes_provider:
            self._whole.left()
        if permit.probes_model and (circuit := self._models.get(permit.model)):
            circuit.left()

    def _check(self, circuit: Circuit, who: str) -> None:
        left = circuit.refuses(self._clock())
        if left is not None:
            raise BreakerOpen(
                f"{who} failed repeatedly (last: {self._last}) and is left alone for {max(1, round(left + 0.5))} s.",
                headers={"Retry-After": str(max(1, round(left + 0.5)))},
            )

    def _circuit(self, model: str) -> Circuit:
        circuit = self._models.get(model)
        if circuit is None:
            circuit = self._models[model] = Circuit(self._settings)
            if len(self._models) > _MODELS:
                self._failing.discard(self._models.popitem(last=False)[0])
        return circuit


class Permit:
    """A request that passed the breaker, and what it probes."""

    __slots__ = ("model", "probes_model", "probes_provider")

    def __init__(self, model: str, probes_provider: bool, probes_model: bool) -> None:
        self.model = model
        self.probes_provider = probes_provider
        self.probes_model = probes_model


class BreakerOpener:
    """An opener behind a breaker, with all of its retries: the breaker hears how the request ended, once."""

    def __init__(self, inner: Opener, breakers: Breakers) -> None:
        self._inner = inner
        self._breakers = breakers

    def open(self, chat: Chat) -> Opening:
        return _Watched(self._breakers, self._inner, chat)


class _Watched(Opening):
    """One request under the eyes of a breaker."""

    __slots__ = ("_breakers", "_chat", "_inner", "_opening", "_permit")

    _opening: Opening

    def __init__(self, breakers: Breakers, inner: Opener, chat: Chat) -> None:
        self._breakers = breakers
        self._inner = inner
        self._chat = chat

    async def __aenter__(self) -> Reply:
        try:
            self._permit = self._breakers.admit(self._chat.model)
        except BreakerOpen as refused:
            self._chat.trace.failures.append(str(refused.code))
            raise
        self._opening = self._inner.open(self._chat)
        try:
            reply = await self._opening.__aenter__()
        except BaseException as error:
            self._over(error)
            raise
        self._breakers.answered(self._permit)
        return reply

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            quiet = await self._opening.__aexit__(kind, error, trace)
        except BaseException as late:
            self._over(late)
            raise
        self._over(error)
        return quiet

    def _over(self, error: BaseException | None) -> None:
        if isinstance(error, UpstreamError):
            self._breakers.failed(self._permit, error)
        elif error is None:
            self._breakers.finished(self._permit)
        self._breakers.over(self._permit)
