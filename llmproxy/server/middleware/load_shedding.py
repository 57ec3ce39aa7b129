"""Load shedding: refuses requests on too many requests, event-loop lag, or memory."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from aiohttp import web

from llmproxy.config import Server
from llmproxy.core.errors import GatewayError
from llmproxy.observe.log import log
from llmproxy.requests.registry import RequestRegistry

from ..context import ACCOUNTS, CURRENT, LOAD_SHEDDING
from .routes import route_of

_MINUTE = 120  # looks
_STANDING = 3  # looks in a row that must be late: one long task, or a process that was stopped, is no overload
_BLOCKED = 0.5  # seconds: a single delay that is worth a warning
_SHARE = 0.9  # of a container's memory
_LARGE = 1024 * 1024  # bytes of a body that is counted before it has come
_COPIES = 3  # of a body, while it is read, rendered and sent (measured)
_NO_MEMORY = "The gateway has no memory left."


class LoadShedding:
    """`refusal` says why no further request is taken in; it is empty as long as they are."""

    def __init__(self) -> None:
        self._late: deque[float] = deque([0.0], maxlen=_MINUTE)
        self._expected = 0  # bytes that bodies which are coming will need
        self._allowed = 0.0  # bytes; 0 is any number
        self.memory = 0  # resident bytes; 0 where the system does not tell
        self.refusal = ""

    @property
    def lag(self) -> float:
        """Seconds by which the event loop was late at worst, within the last minute."""
        return max(self._late)

    def look(self, late: float, memory: int, limits: Server) -> None:
        """What one look has found: seconds of delay, and bytes."""
        if late > _BLOCKED >= self._late[-1]:
            log.warning("event_loop_blocked", seconds=round(late, 3))
        self._late.append(late)
        self.memory = memory
        self._allowed = limits.max_memory or (container_memory() or 0) * _SHARE / limits.workers
        refusal = self._judge(limits)
        if refusal != self.refusal:
            log.warning("shedding" if refusal else "shedding_over", reason=refusal or None, memory=memory)
        self.refusal = refusal

    def refuses(self, size: int) -> str:
        """Why a request with a body of so many bytes is not taken in now; empty if it is."""
        if self.refusal or size < _LARGE or not self._allowed:
            return self.refusal
        return _NO_MEMORY if self.memory + self._expected + _COPIES * size > self._allowed else ""

    @contextmanager
    def expecting(self, size: int) -> Iterator[None]:
        """Memory that is not taken yet and will be: many uploads begin before the first has arrived."""
        self._expected += _COPIES * size
        try:
            yield
        finally:
            self._expected -= _COPIES * size

    def _judge(self, limits: Server) -> str:
        if 0 < limits.max_lag < min(list(self._late)[-_STANDING:]):
            return "The gateway cannot keep up."
        return _NO_MEMORY if 0 < self._allowed < self.memory else ""


@cache
def container_memory(root: Path = Path("/sys/fs/cgroup"), mine: Path = Path("/proc/self/cgroup")) -> int | None:
    """Bytes that the control group (v2) of this process may use; None without a limit."""
    try:
        group = mine.read_text().partition("0::/")[2].strip()
        text = (root / group / "memory.max").read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def refuse_overload(request: web.Request, most: int, registry: RequestRegistry) -> None:
    """Refuses what would be too much, before anything is spent on it. Raises GatewayError: 503 with Retry-After."""
    route = route_of(request)
    if route.always:
        return
    if getattr(request.protocol, "surplus", False):
        if not request.app[CURRENT].ready:
            raise overloaded("The gateway is shutting down.", {"Connection": "close"}, code="server_shutting_down")
        raise overloaded("Too many connections are open.", {"Connection": "close"}, code="overloaded")
    if route.counts:
        inside = len(registry)
        if inside >= most:
            raise overloaded("Too many requests are being answered.", {}, code="overloaded")
        reason = request.app[LOAD_SHEDDING].refuses(request.content_length or 0)
        if reason and (inside or not getattr(request.protocol, "alone", True)):  # one at a time is always taken
            raise overloaded(reason, {"Connection": "close"}, code="overloaded")  # whose body is not read


def refuse_more_than_share(request: web.Request, owner: str, most: int, registry: RequestRegistry) -> None:
    """Keeps the last tenth of all places for keys that have less than an equal part. Raises GatewayError: 503."""
    inside = len(registry)
    if inside < most - most // 10 or not route_of(request).counts or not request.app[ACCOUNTS].keys.several:
        return
    owners = Counter(one.owner for one in registry)
    own = owners[owner]
    if own * max(2, len(owners)) >= inside and own:
        raise overloaded("Your key has its share of what the gateway can answer at once.", {}, code="overloaded")


def overloaded(text: str, headers: dict[str, str], *, code: str) -> GatewayError:
    return GatewayError(text, status=503, code=code, headers={"Retry-After": "1", **headers})
