"""Replicas as real processes that know each other by address, between a provider in the test's loop and clients of any of them."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import ClientError, ClientSession, TCPConnector

from llmproxy.testing import Behaviour, Exchange, FakeProvider, chunk, sse
from tests.cluster.ports import free_port
from tests.gateway import Gateway, running_gateway
from tests.waiting import soon

SECRET = "a secret that only the replicas know"
CONFIG = """
[server]
drain_timeout = 30
workers = {workers}
[limits]
slow_reader = 60
[cluster]
secret = "{secret}"
name = "replica-{number}"
peers = [{peers}]
{cluster}
[providers.up]
adapter = "compatible"
base_url = "{provider}/v1"
models = ["hanging", "counting"]
list_models = false
retries = 0
{more}
"""
EVENTS = 60  # tokens of an answer that counts


def answer(exchange: Exchange) -> Behaviour | None:
    """`hanging` begins and never ends; `counting` says 60 numbers, slowly."""
    if exchange.method != "POST":
        return None
    headers = {"content-type": "text/event-stream"}
    if exchange.json["model"] == "hanging":
        return Behaviour([sse(chunk({"content": "Hello"}), done=False)], headers=headers, ending="hang")
    frames = [sse(chunk({"content": f"{number} "}), done=False) for number in range(EVENTS)]
    return Behaviour([*frames, sse(chunk({}, finish="stop"))], headers=headers, every=0.02)


@dataclass
class Proxy:
    """Passes everything on until it is cut, and then nothing; `reset` ends what is open, too.

    port, host: where it listens. to, at: where that leads.
    """

    port: int
    to: int
    host: str = "127.0.0.1"
    at: str = "127.0.0.1"
    whole: bool = True
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _held: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Proxy]:
        server = await asyncio.start_server(self._accept, self.host, self.port)
        try:
            yield self
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """As a cable that is pulled: what comes from now on is swallowed."""
        self.whole = False

    def mend(self) -> None:
        self.whole = True

    def reset(self) -> None:
        """Ends every connection that is open now, as a router that forgot them."""
        for writer in list(self._open):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            further, onward = await asyncio.open_connection(self.at, self.to)
        except OSError:
            writer.close()
            return
        for source, target in ((reader, onward), (further, writer)):
            task = asyncio.ensure_future(self._pump(source, target))
            self._held.add(task)
            task.add_done_callback(self._held.discard)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        self._open.add(target)
        with suppress(OSError):
            while piece := await source.read(65_536):
                if self.whole:
                    target.write(piece)
                    await target.drain()
        self._open.discard(target)
        target.transport.abort() if target.transport else None


@dataclass
class Cluster:
    """The replicas. proxies: by (who asks, who is asked), where the way between them can be cut."""

    gateways: list[Gateway]
    provider: FakeProvider
    client: ClientSession
    proxies: dict[tuple[int, int], Proxy]

    def any(self, but: int | None = None) -> int:
        """A random balancer."""
        return random.choice([number for number in range(len(self.gateways)) if number != but])

    def url(self, number: int) -> str:
        return self.gateways[number].url

    async def call(
        self, number: int, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        async with self.client.request(method, self.url(number) + path, json=body, headers=headers) as response:
            raw = await response.read()
            return response.status, orjson.loads(raw) if response.content_type == "application/json" and raw else raw

    async def begun(
        self, number: int, id: str, model: str = "hanging", path: str = "/chat/stream"
    ) -> asyncio.Task[bytes]:
        """A stream whose first token has come; the rest is read beside what the test does."""
        started = asyncio.Event()

        async def read() -> bytes:
            asked = {"message": id, "content": id, "model": model}
            given = {name: asked[name] for name in ("content" if "threads" in path else "message", "model")}
            seen = b""
            headers = {"X-Request-ID": id, "X-LLMProxy-On-Disconnect": "detach"}
            with suppress(OSError, ClientError):  # its replica may be killed
                async with self.client.post(self.url(number) + path, json=given, headers=headers) as response:
                    async for piece in response.content.iter_any():
                        seen += piece
                        if b"event: token" in seen:
                            started.set()
            started.set()
            return seen

        task = asyncio.ensure_future(read())
        async with asyncio.timeout(30):
            await started.wait()
        return task

    def exchange(self, id: str) -> Exchange:
        """What the provider was asked by the request of this id."""
        return next(one for one in self.provider.exchanges if one.json["messages"][-1]["content"] == id)

    def send(self, number: int, signal: signal.Signals) -> None:
        os.kill(self.gateways[number].process.pid, signal)


@asynccontextmanager
async def replicas(
    count: int = 3,
    *,
    environment: Mapping[str, str] | None = None,
    cluster: str = "",
    more: str = "",
    with_proxies: bool = False,
    workers: int = 1,
    key: str = "",
    listening: Sequence[int] = (),
) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(FakeProvider(route=answer))
        ports = [free_port() for _ in range(count)]
        proxies: dict[tuple[int, int], Proxy] = {}
        if with_proxies:
            for pair in ((one, other) for one in range(count) for other in range(count) if one != other):
                proxy = Proxy(free_port(), ports[pair[1]])
                proxies[pair] = await stack.enter_async_context(proxy.serving())

        def config(number: int) -> str:
            ways = [
                proxies[number, other].port if (number, other) in proxies else ports[other] for other in range(count)
            ]
            scheme, own = ("https", f'listen = "127.0.0.1:{listening[number]}"\n') if listening else ("http", "")
            peers = ", ".join(f'"{scheme}://127.0.0.1:{port}"' for port in listening or ways)
            return CONFIG.format(
                secret=SECRET,
                number=number,
                peers=peers,
                provider=provider.url,
                cluster=own + cluster,
                more=more,
                workers=workers,
            )

        starting = [
            asyncio.to_thread(stack.enter_context, running_gateway(config(number), environment, port=ports[number]))
            for number in range(count)
        ]
        gateways = [await one for one in starting]
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        client = await stack.enter_async_context(ClientSession(connector=TCPConnector(limit=0), headers=headers))
        made = Cluster(gateways, provider, client, proxies)
        await known_by(gateways)
        yield made
        for number in range(count):
            with suppress(ProcessLookupError):
                made.send(number, signal.SIGCONT)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            if task.get_coro().__qualname__.endswith("begun.<locals>.read"):  # type: ignore[union-attr]  # a coroutine
                task.cancel()


async def known_by(gateways: Sequence[Gateway]) -> None:
    """Returns when each replica has an answer from every other."""

    async def all_know() -> bool:
        return all(len({one["name"] for one in each.events("peer_up")}) >= len(gateways) - 1 for each in gateways)

    await soon(all_know, 60, every=0.05)


def events(stream: bytes) -> list[bytes]:
    """The whole events, without the comments between them."""
    return [one for one in stream.split(b"\n\n")[:-1] if one.startswith(b"id: ")]


def ids(stream: bytes) -> list[int]:
    """The numbers of the whole events."""
    return [int(one) for one in re.findall(rb"^id: (\d+)$", stream, re.MULTILINE)]
