"""An event loop for tests with a jumping clock: when all tasks wait, its time jumps to the next timer.

    @jumping
    async def test_a_second_try_comes_after_a_minute() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await something_that_waits()
        assert loop.time() - began == 60.0

Connections within the process are socket pairs. A written byte arrives at once, so no data is on its way while the clock jumps.
A server of this loop's `create_server` is reached by every client in the same loop that connects to its address, also by
aiohttp and the gateway's own client. Limits: addresses must be numeric, because names are resolved in threads; work of threads
and other processes takes no time on this clock; code that reads `time.monotonic()` does not see the jumps.
"""

from __future__ import annotations

import asyncio
import errno
import selectors
import socket
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
Address = tuple[str, int]
_FIRST_PORT = 20_000


class _Jump(selectors.DefaultSelector):
    """Selector that does not wait: it adds the waiting time to `skipped`."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            raise RuntimeError("everything waits, and no timer will wake it")
        self.skipped += timeout
        return ready


class _Place(NamedTuple):
    """Stands for a listening socket where its address is read."""

    address: Address

    def getsockname(self) -> Address:
        return self.address


class _Server(asyncio.AbstractServer):
    """A server within the loop, as returned by `create_server`."""

    def __init__(self, loop: JumpingLoop, address: Address) -> None:
        self._loop = loop
        self._address = address

    @property
    def sockets(self) -> tuple[_Place, ...]:
        return (_Place(self._address),)

    def close(self) -> None:
        self._loop.servers.pop(self._address, None)

    async def wait_closed(self) -> None:
        return

    async def start_serving(self) -> None:
        return

    async def serve_forever(self) -> None:
        raise NotImplementedError

    def get_loop(self) -> JumpingLoop:
        return self._loop

    def is_serving(self) -> bool:
        return self._address in self._loop.servers


class JumpingLoop(asyncio.SelectorEventLoop):
    """The loop. servers: the protocol factories by address."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self.servers: dict[Address, Callable[[], asyncio.BaseProtocol]] = {}
        self._dialled: dict[socket.socket, Address] = {}

    def time(self) -> float:
        return 1000.0 + self._jump.skipped

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.Protocol], host: str = "127.0.0.1", port: int = 0, **options: Any
    ) -> _Server:
        """A server at `host:port`; port 0 is the next free one."""
        if options.get("ssl"):
            raise NotImplementedError("there is no TLS within the loop")
        address = (host, port or _FIRST_PORT + len(self.servers))
        if address in self.servers:
            raise OSError(errno.EADDRINUSE, "the address is in use")
        self.servers[address] = protocol_factory
        return _Server(self, address)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        if address[:2] not in self.servers:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "connection refused")
        self._dialled[sock] = address[:2]

    async def create_connection(self, protocol_factory: Any, *given: Any, **options: Any) -> Any:
        sock = options.get("sock")
        address = self._dialled.pop(sock, None) if sock is not None else (given[:2] if len(given) >= 2 else None)
        if address is None:
            return await super().create_connection(protocol_factory, *given, **options)
        if sock is not None:
            sock.close()
        serve = self.servers.get(address)
        if serve is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "connection refused")
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        await self.connect_accepted_socket(serve, theirs)
        return await super().create_connection(protocol_factory, sock=ours)


def run(story: Coroutine[Any, Any, T]) -> T:
    """Runs the coroutine to its end, without waiting for its sleeps; returns its result."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(story)


def jumping(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Decorator: runs an async test on this loop, with its fixtures."""

    @wraps(test)
    def run_it(*given: P.args, **named: P.kwargs) -> None:
        run(test(*given, **named))

    return run_it
