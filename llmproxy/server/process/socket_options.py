"""The listening socket and its options."""

from __future__ import annotations

import socket
import sys
from types import ModuleType

resource: ModuleType | None
try:
    import resource
except ImportError:  # Windows
    resource = None

_UNSENT = (
    128 * 1024
)  # unsent bytes in the kernel per client; otherwise it would hold megabytes for each client that does not read


class PortTaken(Exception):
    """The address cannot be listened on."""


def bound(host: str, port: int, *, share: bool = False) -> socket.socket:
    """A listening socket that detects dead peers. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    if sys.platform == "win32":  # there SO_REUSEADDR would let another program take the port over
        made.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if share:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    for option, value in (
        ("TCP_USER_TIMEOUT", VANISHED * 1000),
        ("TCP_KEEPIDLE", 5),
        ("TCP_KEEPINTVL", 3),
        ("TCP_KEEPCNT", 3),
        ("TCP_NOTSENT_LOWAT", _UNSENT),
    ):
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise PortTaken(f"cannot listen on {host}:{port}: {error.strerror}") from error
    made.setblocking(False)
    return made


def refuse_taken(host: str, port: int) -> None:
    """Raises PortTaken if another program listens there: with SO_REUSEPORT we would get a part of its connections."""
    if port == 0:
        return
    alone = bound(host, port)
    try:
        alone.listen(1)
    except OSError as error:
        raise PortTaken(f"cannot listen on {host}:{port}: {error.strerror}") from error
    finally:
        alone.close()


# A peer that disappears without a FIN is dropped after so many seconds. The kernel probes 5, 8, 11 and 14 seconds after the
# last data: before the first ping of a silent stream, which would restart the wait.
VANISHED = 13


_RESERVE = 64  # descriptors for the log, the store, model lists and other things


def affordable_connections(wanted: int) -> int:
    """The number of connections for which there are file descriptors: each may need another one to a provider. Raises the soft
    limit.
    """
    if resource is None:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * wanted + _RESERVE
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(8, int(soft - _RESERVE) // 2)
