"""Every phase a request can be stopped in: how it is brought there, and how a test knows that it is."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from llmproxy.testing import Behaviour, chunk, completion, sse
from tests.faults.house import FIRST, JSON, MORE, Case, House, soon, streaming, whole
from tests.faults.wire import HOST, Wire

SLOW = Behaviour(silent=True)
HALF = orjson.dumps(completion("Hello" * 100))[:200]
FINISH = sse(chunk({}, finish="stop"), done=False)
BURST = [MORE * 20] * 20_000
FLOOD = [sse(chunk({"content": "x" * 60_000}), done=False)] * 200
GEMINI = b'data: {"candidates":[{"content":{"parts":[{"text":"one "}],"role":"model"},"index":0}],"responseId":"r"}\n\n'
LOADING = {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}


@dataclass(frozen=True, slots=True)
class Phase:
    """`begun`: the client has got a status by then. `asked`: the provider has an exchange that must be closed."""

    name: str
    script: tuple[Behaviour, ...]
    there: Callable[[Case, Wire], Awaitable[object]]
    provider: str = "p"
    stream: bool = True
    begun: bool = False
    asked: bool = True
    receive_buffer: int | None = None

    def __str__(self) -> str:
        return self.name


async def _queued(case: Case, wire: Wire) -> None:
    await case.reaches("queued")

    async def look() -> bool:
        return (await case.state())["queue_position"] is not None

    await soon(look)


async def _arrived(case: Case, wire: Wire) -> None:
    await case.arrived()
    await case.reaches("waiting")


async def _head_sent(case: Case, wire: Wire) -> None:
    await (await case.arrived()).head_sent.wait()


async def _all_sent(case: Case, wire: Wire) -> None:
    """The finish is kept back until it is known that nothing comes after it: the client has seen what was before."""
    await wire.until(b'"one "')
    await case.exchanges[-1].sent.wait()


async def _stuck(case: Case, wire: Wire) -> None:
    """The reader takes nothing: what the gateway could hand on no longer grows."""
    before, same = 0, 0
    while same < 3:
        tokens = (await case.state())["tokens"]
        same = same + 1 if tokens == before and tokens else 0
        before = tokens
        await asyncio.sleep(0.03)


def _reads(sign: bytes) -> Callable[[Case, Wire], Awaitable[object]]:
    return lambda case, wire: wire.until(sign)


def _reaches(phase: str) -> Callable[[Case, Wire], Awaitable[object]]:
    return lambda case, wire: case.reaches(phase)


QUEUED = Phase("queued", (SLOW,), _queued, provider="one", asked=False)
CONNECTING = Phase("connecting", (), _reaches("connecting"), provider="full", asked=False)
PHASES = (
    QUEUED,
    CONNECTING,
    Phase("waiting for headers", (SLOW,), _arrived),
    Phase("waiting for the first frame", (streaming(b": ping\n\n", ending="hang"),), _head_sent),
    Phase("mid-stream, silent", (streaming(FIRST, ending="hang"),), _reads(b'"one "'), begun=True),
    Phase("mid-stream, bursting", (streaming(FIRST, *BURST, every=0.001),), _reads(b'"more "'), begun=True),
    Phase("slow reader", (streaming(*FLOOD, ending="hang"),), _stuck, begun=True, receive_buffer=4096),
    Phase("backing off", (whole({"error": {}}, 503, Retry_After="8"),), _reaches("backing_off"), asked=False),
    Phase("loading", (whole(LOADING, 503),), _reaches("backing_off"), provider="llama", asked=False),
    Phase("not streamed", (SLOW,), _arrived, stream=False),
    Phase(
        "not streamed, half of it there", (Behaviour([HALF], headers=JSON, ending="hang"),), _head_sent, stream=False
    ),
    Phase("translating", (streaming(GEMINI, ending="hang"),), _reads(b'"one "'), provider="gem", begun=True),
    Phase("finishing", (streaming(FIRST, FINISH, ending="hang"),), _all_sent, begun=True),
)


@dataclass(slots=True)
class Asked:
    """A request in its phase."""

    case: Case
    wire: Wire
    reading: asyncio.Task[Any] | None = None


@asynccontextmanager
async def asked(house: House, phase: Phase, *, deadline: float | None = None) -> AsyncIterator[Asked]:
    """A request that is in this phase when the block begins."""
    async with asyncio.timeout(10):
        async with _held(house, phase):
            case = house.case(phase.provider, *phase.script)
            sent = await case.send(stream=phase.stream, deadline=deadline, receive_buffer=phase.receive_buffer)
            async with sent as wire:
                await phase.there(case, wire)
                yield Asked(case, wire)


@asynccontextmanager
async def _held(house: House, phase: Phase) -> AsyncIterator[None]:
    """The one place of a provider that takes one request at a time is taken."""
    if phase is not QUEUED:
        yield
        return
    first = house.case("one", SLOW)
    async with await first.send():
        await first.arrived()
        yield
    await first.noted()


@contextmanager
def full_socket() -> Iterator[int]:
    """A port where connections are begun and never made: its backlog is full."""
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        waiting = [_begun(port) for _ in range(4)]
        yield port
        for one in waiting:
            one.close()


def _begun(port: int) -> socket.socket:
    made = socket.socket()
    made.setblocking(False)
    made.connect_ex((HOST, port))
    return made
