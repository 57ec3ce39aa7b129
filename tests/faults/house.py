"""The gateway under test and the provider behind it, as one thing that a test asks and looks at."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from llmproxy.testing import Behaviour, Exchange, FakeProvider, chunk, sse
from llmproxy.testing.provider import Route
from tests import waiting
from tests.faults.wire import Seen, Wire, get, post
from tests.gateway import Gateway

PATIENCE = 30.0  # seconds until a test gives up waiting; nothing is asserted about it
STREAM = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}
FIRST = sse(chunk({"role": "assistant", "content": "one "}), done=False)
MORE = sse(chunk({"content": "more "}), done=False)
LAST = sse(chunk({}, finish="stop"))
_numbers = itertools.count(1)
soon = waiting.soon


def config(port: int, full: int = 9, limits: str = "", keys: str = "", **server: object) -> str:
    """Providers for every fault, all at the fake one's address but `full`, where nobody answers.

    Breakers never open, so that no test meets another's failures.
    """
    settings = "".join(f"{name} = {value}\n" for name, value in server.items())
    return f"""
        [server]
        {settings}
        {keys}
        [limits]
        retries = 2
        {limits}
        [aliases]
        chain-once = ["once/first", "p/second"]
        chain-brief = ["brief/first", "p/second"]
        [providers.p]
        {_provider(port)}
        [providers.one]
        {_provider(port)}
        max_concurrent = 1
        [providers.brief]
        {_provider(port)}
        timeouts = {{ connect = 0.3, first_frame = 0.3, idle = 0.3, answer = 0.3 }}
        retries = 0
        [providers.once]
        {_provider(port)}
        retries = 0
        [providers.full]
        {_provider(full)}
        timeouts = {{ connect = 30 }}
        [providers.away]
        {_provider(full)}
        timeouts = {{ connect = 0.3 }}
        retries = 0
        [providers.gem]
        {_provider(port).replace("compatible", "gemini")}
        [providers.llama]
        {_provider(port).replace("compatible", "llamacpp")}
        """


def _provider(port: int) -> str:
    return f"""adapter = "compatible"
        base_url = "http://127.0.0.1:{port}/v1"
        api_key = "sk-canary-0123456789abcdef"
        list_models = false
        breaker = {{ failures = 100000, samples = 1000 }}"""


def streaming(*frames: bytes, **how: Any) -> Behaviour:
    return Behaviour(frames, headers=STREAM, **how)


def whole(body: object, status: int = 200, **headers: str) -> Behaviour:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return Behaviour([raw], status, {**JSON, **{k.replace("_", "-"): v for k, v in headers.items()}}, framing="length")


@dataclass(slots=True, repr=False)  # a failing test would show all its scripts, megabytes of them
class House:
    """Each case asks its own model, and so has its own script: cases may run side by side."""

    gateway: Gateway
    provider: FakeProvider
    _scripts: dict[str, list[Behaviour]] = field(default_factory=lambda: defaultdict(list))

    _others: Route | None = None  # what answers the provider's GETs

    def __post_init__(self) -> None:
        self._others, self.provider.route = self.provider.route, self._next

    @property
    def port(self) -> int:
        return int(self.gateway.url.rpartition(":")[2])

    def case(self, provider: str, *behaviours: Behaviour, prefix: str = "m") -> Case:
        """A new model with this script. The last behaviour is repeated."""
        name = f"{prefix}{next(_numbers)}"
        self._scripts[name].extend(behaviours)
        return Case(self, name, f"{provider}/{name}", f"case-{name}-{os.getpid()}")

    def chain(self, provider: str, first: Sequence[Behaviour], second: Behaviour) -> tuple[Case, Case]:
        """The two models behind the alias `chain-PROVIDER`, with new scripts."""
        self.provider.exchanges.clear()
        number = next(_numbers)
        for name, script in (("first", first), ("second", (second,))):
            self._scripts[name] = list(script)
        return Case(self, "first", f"{provider}/first", f"chain-{number}-1"), Case(
            self, "second", "p/second", f"chain-{number}-2"
        )

    async def call(self, request: bytes) -> Seen:
        """One request on a connection of its own."""
        async with asyncio.timeout(PATIENCE):
            async with await Wire.open(self.port) as wire:
                await wire.send(request)
                return await wire.answer()

    async def request(self, id: str) -> dict[str, Any] | None:
        """What the registry says of a request; None while it does not know it."""
        seen = await self.call(get(f"/v1/requests/{id}"))
        return dict(seen.json) if seen.status == 200 else None

    async def running(self) -> list[str]:
        return [one["id"] for one in (await self.call(get("/v1/requests"))).json["data"]]

    async def quiet(self) -> None:
        """Nothing runs any more."""

        async def look() -> bool:
            return not await self.running()

        await soon(look)

    def _next(self, exchange: Exchange) -> Behaviour | None:
        if exchange.method != "POST":
            return self._others(exchange) if self._others else None
        script = self._scripts.get(exchange_model(exchange)) or []
        return script.pop(0) if len(script) > 1 else script[0] if script else None

    @property
    def memory(self) -> int:
        """Resident bytes of the server."""
        fields = Path(f"/proc/{self.gateway.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def cpu(self) -> float:
        """Seconds of processor time the server has used."""
        fields = Path(f"/proc/{self.gateway.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def sockets(self) -> int:
        """Sockets the server has open."""
        folder = Path(f"/proc/{self.gateway.process.pid}/fd")
        return sum(_is_socket(one) for one in folder.iterdir())

    @property
    def unsent(self) -> int:
        """Bytes that the system holds for the server's clients: sent by the server, and not taken by them."""
        lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        return sum(int(one[4].partition(":")[0], 16) for one in lines if int(one[1].partition(":")[2], 16) == self.port)

    @property
    def clients(self) -> int:
        """Connections that the server holds with clients."""
        lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        return sum(one[3] in ("01", "08") for one in lines if int(one[1].partition(":")[2], 16) == self.port)

    @property
    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.gateway.process.pid}/fd").iterdir()))


def _is_socket(descriptor: Path) -> bool:
    try:
        return str(descriptor.readlink()).startswith("socket:")
    except OSError:  # closed just now
        return False


def exchange_model(exchange: Exchange) -> str:
    if "/models/" in exchange.path:  # Gemini says it there
        return exchange.path.partition("/models/")[2].partition(":")[0]
    try:
        return str(orjson.loads(exchange.body).get("model"))
    except orjson.JSONDecodeError:
        return ""


@dataclass(slots=True)
class Case:
    """One request of a test."""

    house: House
    name: str  # the model, as the provider hears it
    model: str  # as the client says it
    id: str

    def ask(self, *, stream: bool = True, deadline: float | None = None, **members: Any) -> bytes:
        body = {"model": self.model, "stream": stream, "messages": [{"role": "user", "content": "?"}], **members}
        headers = {"X-Request-ID": self.id}
        if deadline is not None:
            headers["X-LLMProxy-Timeout"] = str(deadline)
        return post("/v1/chat/completions", body, **headers)

    async def send(self, *, receive_buffer: int | None = None, **how: Any) -> Wire:
        wire = await Wire.open(self.house.port, receive_buffer=receive_buffer)
        await wire.send(self.ask(**how))
        return wire

    async def answer(self, **how: Any) -> Seen:
        async with asyncio.timeout(PATIENCE), await self.send(**how) as wire:
            return await wire.answer()

    @property
    def exchanges(self) -> list[Exchange]:
        """What reached the provider."""
        return [one for one in self.house.provider.exchanges if exchange_model(one) == self.name]

    async def arrived(self) -> Exchange:
        """The request, once it is at the provider."""

        async def look() -> Exchange | None:
            return self.exchanges[-1] if self.exchanges else None

        return await soon(look)

    async def state(self) -> dict[str, Any]:
        found = await self.house.request(self.id)
        assert found is not None, f"{self.id} is not known"
        return found

    async def reaches(self, phase: str) -> None:
        """Returns when the request is in that phase."""

        async def look() -> bool:
            return (await self.house.request(self.id) or {}).get("phase") == phase

        await soon(look)

    async def ended(self) -> dict[str, Any]:
        """What the registry remembers of it, once it is over."""

        async def look() -> dict[str, Any] | None:
            found = await self.state()
            return found if found["phase"] is None else None

        return await soon(look)

    async def noted(self) -> list[dict[str, Any]]:
        """Its log lines, once there is one: without asking a server that may be gone."""

        async def look() -> list[dict[str, Any]]:
            return self.logged

        return await soon(look)

    @property
    def logged(self) -> list[dict[str, Any]]:
        """Its log lines: one, if all is right."""
        lines = [line for line in self.house.gateway.output.splitlines() if self.id in line]
        return [event for event in map(orjson.loads, lines) if event["event"] == "request"]
