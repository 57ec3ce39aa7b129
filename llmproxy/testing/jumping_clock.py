"""An event loop for tests whose clock jumps: when everything waits, it is the next timer's time at once.

    @jumping
    async def test_a_second_try_comes_after_a_minute() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await something_that_waits()
        assert loop.time() - began == 60.0

Connections within the process are pairs of sockets, into which a written byte is there at once, so that nothing is on its
way while the clock jumps: `create_server` of this loop is reached by every client that dials its address in the same loop,
aiohttp's server and client and the gateway's own among them. Addresses must be numbers, as names are looked up by threads,
and whatever else is done by threads or other processes takes no time here: this loop is for code that waits for timers and
for itself. Code that reads `time.monotonic()` does not see the jumps.
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
    """Waits for nothing: the time that would have been waited is added to `skipped`."""

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
    """Fills a listening socket's place for whoever asks for its address."""

    address: Address

    def getsockname(self) -> Address:
        return self.address


class _Server(asyncio.AbstractServer):
    """A server within the loop, as `create_server` gives it."""

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
    """The loop. `servers`: the protocol factories that can be dialled, by address."""

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
        """A server at `host:port`; a port of 0 is the next that is free."""
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
    """What the coroutine returns, at once, however long it sleeps."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(story)


def jumping(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test that is a coroutine, run on the loop; its fixtures are given as to any other."""

    @wraps(test)
    def run_it(*given: P.args, **named: P.kwargs) -> None:
        run(test(*given, **named))

    return run_it
