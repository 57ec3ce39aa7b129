"""One connection above a transport that only writes down what is done to it."""

from __future__ import annotations

import asyncio

import pytest

from llmproxy.core.errors import Malformed
from llmproxy.upstream.http.connection import HIGH_WATER, SLICE, Connection
from llmproxy.upstream.http.request_writer import Request
from llmproxy.upstream.http.response_parser import Answer
from tests.upstream.http.scripted import CHUNKED, answer, chunk

HEAD = b"POST / HTTP/1.1\r\n\r\n"


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.unsent = 0
        self.aborted = False
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
async def transport() -> Transport:
    return Transport()


@pytest.fixture
async def connection(transport: Transport) -> Connection:
    made = Connection()
    made.connection_made(transport)
    return made


def asking(connection: Connection, body: bytes = b"") -> asyncio.Task[Answer]:
    return asyncio.ensure_future(connection.ask(Request(HEAD, (body,), len(body))))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_small_request_is_one_write(connection: Connection, transport: Transport) -> None:
    task = asking(connection, b"body")
    await settle()
    assert transport.written == [HEAD + b"body"]
    connection.data_received(answer())
    assert (await task).complete


async def test_a_large_request_waits_for_room(connection: Connection, transport: Transport) -> None:
    connection.pause_writing()
    task = asking(connection, b"a" * (3 * SLICE))
    await settle()
    assert transport.written == [HEAD]
    connection.resume_writing()
    await settle()
    assert len(b"".join(transport.written)) == len(HEAD) + 3 * SLICE
    connection.data_received(answer())
    await task
    assert connection.reusable


async def test_nothing_more_is_sent_to_whom_refused(connection: Connection, transport: Transport) -> None:
    connection.pause_writing()
    task = asking(connection, b"a" * (3 * SLICE))
    await settle()
    connection.data_received(answer(b"", "413 Content Too Large"))
    assert (await task).status == 413
    assert transport.written == [HEAD]
    assert not connection.reusable


async def test_nothing_more_is_sent_to_whom_is_gone(connection: Connection, transport: Transport) -> None:
    connection.pause_writing()
    task = asking(connection, b"a" * (3 * SLICE))
    await settle()
    connection.data_received(b"nonsense\r\n")
    with pytest.raises(Malformed):
        await task
    assert transport.written == [HEAD]
    assert transport.aborted


async def test_an_answer_before_the_last_byte_has_left_ends_the_connection(
    connection: Connection, transport: Transport
) -> None:
    task = asking(connection, b"body")
    await settle()
    transport.unsent = 1
    connection.data_received(answer())
    assert (await task).complete
    assert not connection.reusable


async def test_bytes_that_nobody_asked_for_end_the_connection(connection: Connection, transport: Transport) -> None:
    connection.data_received(answer(b"evil"))
    assert transport.aborted
    assert connection.closed


async def test_bytes_after_the_exchange_end_the_connection(connection: Connection, transport: Transport) -> None:
    task = asking(connection)
    await settle()
    connection.data_received(answer())
    await task
    connection.rest()
    connection.data_received(answer(b"evil"))
    assert transport.aborted


async def test_reading_stops_above_the_mark_and_goes_on_when_all_is_taken(
    connection: Connection, transport: Transport
) -> None:
    task = asking(connection)
    await settle()
    connection.data_received(CHUNKED)
    answered = await task
    half = chunk(b"a" * (HIGH_WATER // 2))
    connection.data_received(half)
    assert transport.reading
    connection.data_received(half)
    assert not transport.reading
    assert len(connection.take(answered)) == HIGH_WATER // 2 * 2
    assert transport.reading
    connection.data_received(half)
    assert transport.reading


async def test_a_connection_at_rest_reads(connection: Connection, transport: Transport) -> None:
    task = asking(connection)
    await settle()
    connection.data_received(answer(b"a" * (2 * HIGH_WATER)))
    await task
    assert not transport.reading
    assert connection.reusable
    connection.rest()
    assert transport.reading
