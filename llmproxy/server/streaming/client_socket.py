"""Reads from a client's socket how many sent bytes it has not received yet."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType

fcntl: ModuleType | None
try:
    import fcntl
    import termios
except ImportError:  # Windows: the amount in the kernel is unknown there
    fcntl = None


def unsent(transport: asyncio.Transport | None) -> int:
    """Bytes that the peer has not received yet: in the process and, if known, in the kernel (SIOCOUTQ)."""
    if transport is None or (made := transport.get_extra_info("socket")) is None:
        return 0
    if fcntl is None:
        return transport.get_write_buffer_size()
    waiting = bytearray(4)
    try:
        fcntl.ioctl(made.fileno(), termios.TIOCOUTQ, waiting)
    except (OSError, ValueError):  # ValueError: uvloop's socket of a closed transport
        return transport.get_write_buffer_size()
    return transport.get_write_buffer_size() + int.from_bytes(waiting, sys.byteorder)
