"""A gateway for coding agents, with the four providers of wires/ behind it, and a day's work for one of them."""

from __future__ import annotations

import asyncio
import base64
import struct
import zlib
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from llmproxy.testing import Exchange, FakeProvider
from tests.clients.agent import KEY, Agent, Desk, Ended, run
from tests.clients.house import elsewhere
from tests.clients.wires.provider import Incident, Model
from tests.clients.wires.turn import Heard, Turn
from tests.gateway import Gateway, running_gateway

T = TypeVar("T")
DONE, HELLO = "All of it was done.", "Hello from the model behind."
NATIVE = {"messages": "anthropic", "responses": "openai", "gemini": "gemini", "chat": "llamacpp"}
FOREIGN = {"messages": "gemini", "responses": "anthropic", "gemini": "anthropic", "chat": "gemini"}
THOUGHTS = ("Two commands first.", "What does the poem say?", "It is wrong.", "And the picture?")
BEFORE, AFTER = "Roses are blue.", "Roses are red."

_PROVIDER = """
[providers.{name}]
base_url = "{url}/{path}"
api_key = "sk-up"
models = ["m", "gpt-5.5"]
list_models = false
breaker = {{ failures = 100000, samples = 100000 }}
"""
_PATHS = {"openai": "openai/v1", "anthropic": "anthropic", "gemini": "gemini/v1beta", "llamacpp": "llamacpp/v1"}


def picture(red: int, green: int, blue: int) -> bytes:
    """A PNG of 24 x 24 in one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes((red, green, blue)) * 24) * 24
    head = struct.pack(">IIBBBBB", 24, 24, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


ATTACHED, SEEN = picture(200, 10, 10), picture(10, 200, 10)
AS_SENT = {
    name: ("image/png", base64.b64encode(png).decode()) for name, png in {"attached": ATTACHED, "seen": SEEN}.items()
}


@dataclass(slots=True)
class Workplace:
    """The gateway, and the loop in which its providers live."""

    gateway: Gateway
    provider: FakeProvider
    loop: asyncio.AbstractEventLoop

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """What it gives, in the providers' loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def ask(
        self,
        agent: Agent,
        provider: str,
        home: Path,
        plan: Sequence[Turn] = (Turn(text=HELLO),),
        *options: str,
        asked: str = "Say hello",
        incidents: Sequence[Incident] = (),
        always: Incident | None = None,
        until: Callable[[Model], Coroutine[Any, Any, None]] | None = None,
        limit: float = 90.0,
    ) -> Run:
        """Runs an agent with a model of a provider."""
        model = Model(agent.tool, plan, deque(incidents), always)
        desk = Desk(self.gateway.url, f"{provider}/{agent.model}", home)

        async def work() -> Ended:
            self.provider.forget()
            self.provider.route = model.route
            stop = None if until is None else lambda: until(model)
            return await run(agent, desk, asked, *options, limit=limit, until=stop)

        before = len(self.gateway.events("request"))
        ended = self.call(work())
        return Run(ended, model, list(self.provider.exchanges), desk, before)

    async def closed(self, exchanges: Sequence[Exchange], seconds: float = 10.0) -> None:
        """Waits until the gateway has left all of them. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            for exchange in exchanges:
                await exchange.closed.wait()


@dataclass(slots=True)
class Run:
    """What came of it. exchanges: all that reached a provider. before: requests that the gateway had logged earlier."""

    ended: Ended
    model: Model
    exchanges: list[Exchange]
    desk: Desk
    before: int

    @property
    def heard(self) -> list[Heard]:
        return self.model.heard


@contextmanager
def running_workplace() -> Iterator[Workplace]:
    provider = FakeProvider()
    with elsewhere(provider) as loop:
        parts = [_PROVIDER.format(name=name, url=provider.url, path=path) for name, path in _PATHS.items()]
        keys = f'[server]\nkeys = [{{ name = "me", secret = "{KEY}" }}]\n[limits]\nmax_retry_after = 0.2\n'
        with running_gateway(keys + "".join(parts)) as gateway:
            yield Workplace(gateway, provider, loop)


def a_days_work(place: Workplace, agent: Agent, provider: str, home: Path, incidents: Sequence[Incident] = ()) -> Run:
    """Two commands at once, a look at a file, a change of it, a look at a picture, and an answer; a thought before each."""
    work = Desk("", "", home).work
    work.mkdir(parents=True)
    (work / "poem.txt").write_text(f"{BEFORE}\n")
    (work / "attached.png").write_bytes(ATTACHED)
    (work / "seen.png").write_bytes(SEEN)
    calls = (
        (agent.command("echo result-0"), agent.command("echo result-1")),
        (agent.read(f"{work}/poem.txt"),),
        (agent.edit(f"{work}/poem.txt", BEFORE, AFTER),),
        (agent.look(f"{work}/seen.png"),),
    )
    plan = [*(Turn(thought, made) for thought, made in zip(THOUGHTS, calls, strict=True)), Turn(text=DONE)]
    shown = agent.attach(f"{work}/attached.png") if agent.attach else ()
    asked = "Correct the poem." + (f" {agent.mention('attached.png')}" if agent.mention else "")
    return place.ask(agent, provider, home, plan, *shown, asked=asked, incidents=incidents)
