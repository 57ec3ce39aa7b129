"""Ports that are known before anybody listens there: none that the system gives to connections in the meantime."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

_FROM, _TO = 18_000, 32_000  # below those that Linux gives to outgoing connections
_given: set[int] = set()


def free_port() -> int:
    """One that nobody listens on now, and that was not given before."""
    while True:
        port = random.randrange(_FROM, _TO)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port
