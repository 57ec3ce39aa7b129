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

_MODELS = 256  # circuits in memory; clients choose the model names


class Breakers:
    """One circuit for each model, and one for the provider as a whole.

    The provider's circuit counts failures that concern every model (no connection, a refused key), and each failing model once.
    It opens if the provider cannot be reached, or if one model after another fails and none answers. Each request counts once,
    after all retries; a client's mistake, an exhausted quota and a cancel do not count. name: the provider's, for error
    messages.
    """

    def __init__(self, settings: Breaker, *, name: str = "The provider", clock: Clock = loop_time) -> None:
        self._name = name
        self._last = ""  # the last failure, in our words: a provider's message may contain text of a request
        self._settings = settings
        self._clock = clock
        self._whole = Circuit(settings)
        self._models: OrderedDict[str, Circuit] = OrderedDict()  # oldest first
        self._failing: set[str] = set()  # models that failed since the last complete answer of any

    @property
    def state(self) -> str:
        """`closed`, `open` or `half_open`; also `open` if all models that were used recently have an open circuit."""
        now = self._clock()
        states = [self._models[model].state(now) for model in self._failing if model in self._models]
        if "closed" in states or not states or self._whole.state(now) != "closed":
            return self._whole.state(now)
        return "half_open" if "half_open" in states else "open"

    @property
    def left_alone(self) -> list[str]:
        """The models with an open circuit."""
        now = self._clock()
        return sorted(model for model, circuit in self._models.items() if circuit.state(now) == "open")

    def refuses(self, model: str) -> bool:
        """Whether a request for this model would be refused now."""
        now, circuit = self._clock(), self._models.get(model)
        return self._whole.refuses(now) is not None or (circuit is not None and circuit.refuses(now) is not None)

    def admit(self, model: str) -> Permit:
        """Admits a request. Raises BreakerOpen."""
        circuit, whole = self._models.get(model), self._whole
        if not whole.opened and (circuit is None or not circuit.opened):  # as nearly always
            return Permit(model, False, False)
        self._check(whole, self._name)
        if circuit is not None:
            self._check(circuit, f"{self._name}/{model}")
        return Permit(model, whole.enter(), circuit is not None and circuit.enter())

    def answered(self, permit: Permit) -> None:
        if self._whole.opened:
            self._whole.answered()
        if permit.model in self._models and (circuit := self._models[permit.model]).opened:
            circuit.answered()

    def finished(self, permit: Permit) -> None:
        now, model = self._clock(), permit.model
        if self._failing:
            self._failing.clear()
        self._whole.finished(now)
        (self._models[model] if model in self._models else self._circuit(model)).finished(now)

    def failed(self, permit: Permit, error: UpstreamError) -> None:
        """There was no answer, or it broke in the middle."""
        if not error.blames:
            return
        now = self._clock()
        self._last = f"{error.code or 'an error'}, status {error.status}"
        if error.provider_wide:
            self._whole.failed(now, probe=permit.probes_provider)
            return
        if permit.probes_provider:  # the provider can be reached again
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
    """A request that was admitted, and which circuits it tests."""

    __slots__ = ("model", "probes_model", "probes_provider")

    def __init__(self, model: str, probes_provider: bool, probes_model: bool) -> None:
        self.model = model
        self.probes_provider = probes_provider
        self.probes_model = probes_model


class BreakerOpener:
    """Puts an opener and all of its retries behind a breaker: the breaker gets the outcome of the request, once."""

    def __init__(self, inner: Opener, breakers: Breakers) -> None:
        self._inner = inner
        self._breakers = breakers

    def open(self, chat: Chat) -> Opening:
        return _Watched(self._breakers, self._inner, chat)


class _Watched(Opening):
    """One request whose outcome is reported to the breaker."""

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
        if error is None:
            self._breakers.finished(self._permit)
        elif isinstance(error, UpstreamError):
            self._breakers.failed(self._permit, error)
        if self._permit.probes_provider or self._permit.probes_model:
            self._breakers.over(self._permit)
