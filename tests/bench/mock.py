"""A provider that costs next to nothing: it answers orders over bare asyncio transports and tells who hung up, and when.

Every connection is one state machine without a task; all paced streams share one clock. `GET /watch` is the side channel:
a line `seen TAG NS` for each tagged order, and `lost TAG NS` if its connection ended before the answer did.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import time
from collections.abc import Callable
from typing import cast

import httptools

from .frames import GEMINI, OPENAI, OPENAI_USAGE, Dialect, Order, answer, chunked
from .loop import run

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: req_87b8e5a94cce\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
JSON_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_87b8e5a94cce\r\ncontent-length: %d\r\n\r\n"
)
END = b"0\r\n\r\n"
KEPT = 65536  # bytes of a request's body that are kept: the order stands near its beginning
BLOCK = 5  # events per write of a burst: what fits a segment on the wire
TURN = 8  # writes of one burst before the other connections get their turn
SLOT = 0.001  # seconds: streams of one rate are spread over slots of this length


class Clock:
    """One timer for all streams of one rate (events per second), spread so that they do not all speak at once."""

    def __init__(self, rate: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._slots: list[set[Connection]] = [set() for _ in range(max(1, round(1 / rate / SLOT)))]
        self._now = 0
        self._streams = 0
        self._due = 0.0

    def add(self, stream: Connection) -> Callable[[], None]:
        """Lets a stream speak in a random slot until the returned function is called."""
        slot = random.choice(self._slots)
        slot.add(stream)
        self._streams += 1
        if self._streams == 1:
            self._due = self._loop.time()
            self._tick()

        def leave() -> None:
            if stream in slot:
                slot.remove(stream)
                self._streams -= 1

        return leave

    def _tick(self) -> None:
        while self._due <= self._loop.time():
            self._now = (self._now + 1) % len(self._slots)
            self._due += SLOT
            for stream in tuple(self._slots[self._now]):
                stream.speak()
        if self._streams:
            self._loop.call_at(self._due, self._tick)


class World:
    """What the connections share: the clocks and those who watch."""

    def __init__(self) -> None:
        self._clocks: dict[int, Clock] = {}
        self.watchers: set[asyncio.Transport] = set()

    def clock(self, rate: int) -> Clock:
        if rate not in self._clocks:
            self._clocks[rate] = Clock(rate)
        return self._clocks[rate]

    def tell(self, what: str, tag: int) -> None:
        line = f"{what} {tag} {time.monotonic_ns()}\n".encode()
        for watcher in self.watchers:
            watcher.write(line)


class Connection(asyncio.Protocol):
    """One connection: reads requests one after the other, answers each as its order says."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._url = b""
        self._kept: list[bytes] = []
        self._received = 0
        self._tag = 0  # of the order being answered
        self._left = 0  # events still to be said
        self._block = b""
        self._dialect: Dialect = OPENAI
        self._writable = True
        self._poured = False  # whether the next turn of a burst is already due
        self._leave: Callable[[], None] = _nothing

    # From the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not registered as one

    def data_received(self, data: bytes) -> None:
        if self._parser is not None:
            self._parser.feed_data(data)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self._block:
            self._pour_later()

    def connection_lost(self, error: Exception | None) -> None:
        self._parser = None
        self._block = b""
        self._leave()
        self._world.watchers.discard(self._transport)
        if self._tag:
            self._world.tell("lost", self._tag)

    # From the parser.

    def on_url(self, url: bytes) -> None:
        self._url = url
        self._kept.clear()
        self._received = 0

    def on_body(self, body: bytes) -> None:
        if self._received < KEPT:
            self._kept.append(body)
        self._received += len(body)

    def on_message_complete(self) -> None:
        if self._url == b"/watch":
            self._transport.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
            self._world.watchers.add(self._transport)
            return
        body = b"".join(self._kept)
        order = Order.parse(body)
        self._dialect = _dialect(self._url, body)
        self._tag = order.numbers.get("tag", 0)
        if self._tag:
            self._world.tell("seen", self._tag)
        MODES[order.mode](self, order)

    # The answers.

    def answer(self, order: Order) -> None:
        body = answer(self._received)
        self._transport.write(JSON_HEAD % len(body) + body)
        self._tag = 0

    def hang(self, order: Order) -> None:
        """Never answers."""

    def silent(self, order: Order) -> None:
        """Headers, then never a byte."""
        self._transport.write(STREAM_HEAD)

    def stall(self, order: Order) -> None:
        """A few events, then never a byte."""
        text = chunked(self._dialect.event(b"%019d" % time.monotonic_ns()))
        self._transport.write(STREAM_HEAD + self._opening() + text * order.numbers.get("n", 3))

    def paced(self, order: Order) -> None:
        self._left = order.numbers["n"]
        self._transport.write(STREAM_HEAD + self._opening())
        self._leave = self._world.clock(order.numbers["rate"]).add(self)

    def burst(self, order: Order) -> None:
        self._left = order.numbers["n"]
        # Texts that differ: a gateway may take the same one over and over for a model that is stuck.
        self._block = b"".join(chunked(self._dialect.event(b"%019d" % number)) for number in range(BLOCK))
        self._transport.write(STREAM_HEAD + self._opening())
        self._pour()

    def speak(self) -> None:
        """Says one event of a paced stream, stamped with the time."""
        self._transport.write(chunked(self._dialect.event(b"%019d" % time.monotonic_ns())))
        self._left -= 1
        if self._left == 0:
            self._leave()
            self._close()

    def _pour(self) -> None:
        self._poured = False
        for _ in range(TURN):
            if not self._writable or not self._block:
                return  # resume_writing goes on, or nobody is there any more
            self._transport.write(
                self._block if self._left >= BLOCK else self._block[: len(self._block) // BLOCK * self._left]
            )
            self._left -= BLOCK
            if self._left <= 0:
                self._block = b""
                self._close()
                return
        self._pour_later()

    def _pour_later(self) -> None:
        if not self._poured:
            self._poured = True
            asyncio.get_running_loop().call_soon(self._pour)

    def _opening(self) -> bytes:
        return chunked(self._dialect.first) if self._dialect.first else b""

    def _close(self) -> None:
        self._tag = 0
        self._transport.write(chunked(self._dialect.last) + END)


def _nothing() -> None:
    pass


def _dialect(url: bytes, body: bytes) -> Dialect:
    if b"GenerateContent" in url:
        return GEMINI
    return OPENAI_USAGE if b'"include_usage":true' in body or b'"include_usage": true' in body else OPENAI


MODES: dict[str, Callable[[Connection, Order], None]] = {
    "json": Connection.answer,
    "hang": Connection.hang,
    "silent": Connection.silent,
    "stall": Connection.stall,
    "paced": Connection.paced,
    "burst": Connection.burst,
}


async def serve(port: int) -> None:
    """Serves on loopback until SIGTERM or SIGINT."""
    world = World()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, ended.set)
    server = await loop.create_server(lambda: Connection(world), "127.0.0.1", port, backlog=4096)
    async with server:
        await ended.wait()
    for watcher in world.watchers:
        watcher.abort()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=9901)
    run(serve(arguments.parse_args().port))
