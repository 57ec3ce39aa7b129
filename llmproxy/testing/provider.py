"""A scripted provider on a loopback socket, which records the requests that it receives."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import TracebackType
from typing import Any, Literal, Self

from .connection import Behaviour, Connection, Exchange, Framing
from .samples import as_bytes, failure

JSON_TYPE = {"content-type": "application/json"}
SSE_TYPE = {"content-type": "text/event-stream; charset=utf-8"}

Route = Callable[[Exchange], Behaviour | None]


class FakeProvider:
    """`async with FakeProvider() as provider:` listens on `provider.url` until the block ends.

    Each POST takes the next scripted behaviour, unless `route` returns one for it. GETs are answered with `models`, so a gateway
    may list models at any time without using up the script.
    """

    def __init__(self, port: int = 0, *, route: Route | None = None, models: Sequence[str] = ("fake-model",)) -> None:
        self.port = port
        self.route = route
        self.models = list(models)
        self.exchanges: list[Exchange] = []  # POSTs only
        self.unexpected: list[Exchange] = []  # POSTs without a scripted behaviour
        self._script: deque[Behaviour] = deque()
        self._arrivals: asyncio.Queue[Exchange] = asyncio.Queue()
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connect, "127.0.0.1", self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        await self.hang_up()

    async def hang_up(self) -> None:
        """Closes all open connections, and waits for their tasks."""
        answering = [c.answering for c in self._connections if c.answering is not None]
        for connection in list(self._connections):
            connection.abort()
        await asyncio.gather(*answering, return_exceptions=True)

    # Scripting answers

    def does(self, *behaviours: Behaviour) -> None:
        """Behaviours for the next requests, in this order."""
        self._script.extend(behaviours)

    def answers(self, body: object, *, status: int = 200, headers: Mapping[str, str] = JSON_TYPE) -> None:
        """One complete body: bytes unchanged, anything else as JSON."""
        self.does(Behaviour([as_bytes(body)], status, headers, framing="length"))

    def fails(self, status: int, body: object = None, headers: Mapping[str, str] | None = None) -> None:
        """An error; in OpenAI's form if there is no body."""
        body = failure(status) if body is None else body
        self.answers(body, status=status, headers={**JSON_TYPE, **(headers or {})})

    def streams(self, *frames: bytes, every: float = 0.0, headers: Mapping[str, str] = SSE_TYPE, **how: Any) -> None:
        """An event stream of these frames, each written separately."""
        self.does(Behaviour(frames, headers=headers, every=every, **how))

    def hangs(self, *frames: bytes, before_headers: bool = False, headers: Mapping[str, str] = SSE_TYPE) -> None:
        """Sends these frames (or only headers, or nothing) and then waits until the other side disconnects."""
        self.does(Behaviour(frames, headers=headers, ending="hang", silent=before_headers))

    def cuts(
        self, body: bytes, after: int, how: Literal["fin", "rst"] = "fin", framing: Framing = "close", **more: Any
    ) -> None:
        """The first `after` bytes of an event stream, then the connection is closed or reset."""
        more.setdefault("headers", SSE_TYPE)
        self.does(Behaviour([body[:after]] if after else [], framing=framing, ending=how, **more))

    def replays(self, body: bytes, cuts: Sequence[int] = (), **more: Any) -> None:
        """Recorded bytes, split at these offsets."""
        more.setdefault("headers", SSE_TYPE)
        self.does(Behaviour(cut_at(body, cuts), **more))

    def forget(self) -> None:
        """Removes the script and the recorded requests."""
        self._script.clear()
        self.exchanges.clear()
        self.unexpected.clear()
        self._arrivals = asyncio.Queue()

    # Received requests

    async def received(self) -> Exchange:
        """The next POST that this method has not returned yet; waits for it."""
        return await self._arrivals.get()

    @property
    def last(self) -> Exchange:
        return self.exchanges[-1]

    def _connect(self) -> Connection:
        return Connection(self._next_behaviour, self._connections)

    def _next_behaviour(self, exchange: Exchange) -> Behaviour:
        routed = self.route(exchange) if self.route else None
        if exchange.method != "POST":
            return routed or self._list_models(exchange)
        self.exchanges.append(exchange)
        self._arrivals.put_nowait(exchange)
        if routed is not None:
            return routed
        if self._script:
            return self._script.popleft()
        self.unexpected.append(exchange)
        return Behaviour(
            [as_bytes(failure(418, "nothing is scripted for this request"))], 418, JSON_TYPE, framing="length"
        )

    def _list_models(self, exchange: Exchange) -> Behaviour:
        if not exchange.path.partition("?")[0].endswith("/models"):
            return Behaviour([as_bytes(failure(404))], 404, JSON_TYPE, framing="length")
        if "/v1beta/" in exchange.path:
            methods = ["generateContent", "countTokens"]
            listed = [{"name": f"models/{name}", "supportedGenerationMethods": methods} for name in self.models]
            return Behaviour([as_bytes({"models": listed})], headers=JSON_TYPE, framing="length")
        data = [{"id": name, "object": "model", "created": 1700000000, "owned_by": "fake"} for name in self.models]
        return Behaviour([as_bytes({"object": "list", "data": data})], headers=JSON_TYPE, framing="length")


def cut_at(body: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The body split at these offsets."""
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(body)}), len(body)]
    return [body[a:b] for a, b in pairwise(edges) if a != b]
