"""Load shedding: refuses requests on too many requests, event-loop lag, or memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from aiohttp import web

from llmproxy.accounts.keys import Keyring
from llmproxy.config import Server
from llmproxy.core.errors import GatewayError
from llmproxy.observe.log import log

from ..context import Current
from .routes import Route

_MINUTE = 120  # looks
_STANDING = 3  # consecutive late measurements that count as overload: one long task, or a paused process, does not
_BLOCKED = 0.5  # seconds: a single delay that is worth a warning
_SHARE = 0.9  # of a container's memory
_LARGE = 1024 * 1024  # bytes above which a body counts before it has arrived
_COPIES = 3  # memory per byte of a body while it is read, rendered and sent (measured)

# What there is too little of.
CONNECTIONS = "Too many connections are open."
PLACES = "Too many requests are being answered."
SHARE = "Your key has its share of what the gateway can answer at once."
LATE = "The gateway cannot keep up."
WAITED = "The gateway cannot keep up: the request has waited too long."
NO_MEMORY = "The gateway has no memory left."


class LoadShedding:
    """refusal: why new requests are refused; empty if they are accepted."""

    def __init__(self) -> None:
        self._late: deque[float] = deque([0.0], maxlen=_MINUTE)
        self._expected = 0  # bytes that announced bodies will need
        self._allowed = 0.0  # bytes; 0: no limit
        self.memory = 0  # resident bytes; 0 if the system does not report it
        self.refusal = ""

    @property
    def lag(self) -> float:
        """The worst delay of the event loop within the last minute, in seconds."""
        return max(self._late)

    def look(self, late: float, memory: int, limits: Server) -> None:
        """Adds one measurement: delay in seconds, and memory in bytes."""
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
        """Why a request with a body of this size (bytes) is refused now; empty if it is accepted."""
        if self.refusal or size < _LARGE or not self._allowed:
            return self.refusal
        return NO_MEMORY if self.memory + self._expected + _COPIES * size > self._allowed else ""

    @contextmanager
    def expecting(self, size: int) -> Iterator[None]:
        """Reserves the memory of a body that is still arriving: many uploads may begin before the first is complete."""
        self._expected += _COPIES * size
        try:
            yield
        finally:
            self._expected -= _COPIES * size

    def _judge(self, limits: Server) -> str:
        if 0 < limits.max_lag < min(list(self._late)[-_STANDING:]):
            return LATE
        return NO_MEMORY if 0 < self._allowed < self.memory else ""


@cache
def container_memory(root: Path = Path("/sys/fs/cgroup"), mine: Path = Path("/proc/self/cgroup")) -> int | None:
    """Bytes that the control group (v2) of this process may use; None without a limit."""
    try:
        group = mine.read_text().partition("0::/")[2].strip()
        text = (root / group / "memory.max").read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def refuse_overload(
    request: web.Request, route: Route, shedding: LoadShedding, inside: int, current: Current, ring: Keyring
) -> tuple[str, ...]:
    """Refuses a request under overload, before it costs anything. Raises GatewayError: 503 with Retry-After.

    Returns the shortages in which its key decides whether it is refused (see fair_share.py); nearly always none.
    inside: requests that are being answered, or wait for their turn.
    """
    if route.always:
        return ()
    surplus = getattr(request.protocol, "surplus", False)
    if surplus and not current.ready:
        raise shutting_down()
    if not route.counts:
        if surplus:
            raise overloaded(CONNECTIONS)
        return ()
    most = current.gateway.config.server.max_in_flight
    reason = shedding.refuses(request.content_length or 0)
    if not surplus and not reason and inside < most - most // 10:
        return ()
    if surplus and not getattr(request.protocol, "is_spare", False):
        raise overloaded(CONNECTIONS)
    if reason and not inside and getattr(request.protocol, "alone", True):
        reason = ""  # one request at a time is always accepted
    return _shortages(surplus, reason, inside, most, ring)


def _shortages(surplus: bool, reason: str, inside: int, most: int, ring: Keyring) -> tuple[str, ...]:
    """The shortages in which the key decides. Raises GatewayError if there is one in which it does not."""
    found = tuple(filter(None, (CONNECTIONS if surplus else "", PLACES if inside >= most else "", reason)))
    if found and (reason == NO_MEMORY or not ring.several):
        raise overloaded(reason if reason == NO_MEMORY else found[0])
    if ring.several and PLACES not in found and inside >= most - most // 10:
        return (SHARE, *found)
    return found


def overloaded(text: str) -> GatewayError:
    """A refusal. The connection is closed if it is one too many, or if the body should not be read."""
    closing = {} if text in (PLACES, SHARE, WAITED) else {"Connection": "close"}
    return GatewayError(text, status=503, code="overloaded", headers={"Retry-After": "1", **closing})


def shutting_down() -> GatewayError:
    """The refusal of a request that has not begun when the process ends."""
    headers = {"Retry-After": "1", "Connection": "close"}
    return GatewayError("The gateway is shutting down.", status=503, code="server_shutting_down", headers=headers)
