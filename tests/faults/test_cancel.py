"""Stop means stop: in every phase, whoever stops, the provider's connection closes and nothing more is sent.

F01-F05, F08 and F82 are among these.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from tests.faults.conftest import Started
from tests.faults.house import FIRST, LAST, MORE, House, streaming
from tests.faults.phases import PHASES, Asked, Phase, asked
from tests.faults.wire import Seen, post

DONE_AT_ONCE = streaming(FIRST, MORE, LAST)
LIMIT = 1.0  # seconds until the provider's connection must be closed at the latest


@dataclass(frozen=True, slots=True)
class Ender:
    """Who stops a request: what it does, what is written down of it, and what its client is told."""

    name: str
    act: Callable[[Asked], Awaitable[object]]
    by: str
    status: int = 499
    code: str | None = None  # None: the client is not there any more to be told
    deadline: float | None = None

    def __str__(self) -> str:
        return self.name


async def _fin(asked: Asked) -> None:
    asked.wire.fin()


async def _rst(asked: Asked) -> None:
    asked.wire.rst()


async def _half_close(asked: Asked) -> None:
    asked.wire.half_close()


async def _cancel(asked: Asked) -> None:
    seen = await asked.case.house.call(post(f"/v1/requests/{asked.case.id}/cancel", b""))
    assert (seen.status, seen.json["state"], seen.json["by"]) == (200, "cancelled", "api")


async def _wait(asked: Asked) -> None:
    """Its time runs out by itself."""


ENDERS = (
    Ender("client FIN", _fin, "client_disconnect"),
    Ender("client RST", _rst, "client_disconnect"),
    Ender("client half-close", _half_close, "client_disconnect"),
    Ender("API", _cancel, "api", code="request_cancelled"),
    Ender("deadline", _wait, "deadline", status=504, code="deadline_exceeded", deadline=0.4),
)
# A pause that would outlast the deadline is not begun: there the deadline has nothing to end.
PAUSES = ("backing off", "loading")
CASES = [(p, e) for p in PHASES for e in ENDERS if not (p.name in PAUSES and e.name == "deadline")]
MATRIX = {
    ("waiting for headers", "client FIN"): "F01 ",
    ("waiting for headers", "client RST"): "F02 ",
    ("mid-stream, silent", "client FIN"): "F03 ",
    ("mid-stream, bursting", "client RST"): "F04 ",
    ("mid-stream, silent", "client half-close"): "F05 ",
    ("queued", "client FIN"): "F08 ",
}
NAMES = [f"{MATRIX.get((phase.name, ender.name), '')}{phase}-{ender}" for phase, ender in CASES]


@pytest.mark.parametrize(("phase", "ender"), CASES, ids=NAMES)
async def test_a_stop_reaches_the_provider_and_the_client(house: House, phase: Phase, ender: Ender) -> None:
    async with asked(house, phase, deadline=ender.deadline) as one:
        calls = len(one.case.exchanges)
        await ender.act(one)
        await _closed(one, phase)
        ended = await one.case.ended()
        if ender.code is not None:
            _check_told(await one.wire.answer(), phase, ender.status, ender.code)
    assert (ended["state"], ended["by"], ended["status"]) == ("cancelled", ender.by, ender.status)
    assert ended["closed_ms"] >= 0, "how long it took is known, whoever stopped it"
    if phase.name != "loading":
        assert len(one.case.exchanges) == calls
    logged = await one.case.noted()
    assert [(line["outcome"], line["by"], line["closed_ms"]) for line in logged] == [
        ("cancelled", ender.by, ended["closed_ms"])
    ]
    assert one.case.id not in await house.running()


def _check_told(seen: Seen, phase: Phase, status: int, code: str) -> None:
    assert seen.whole
    assert seen.error["code"] == code
    if phase.begun:
        assert (seen.status, "[DONE]" in seen.events) == (200, False)
    else:
        assert (seen.status, seen.headers["x-should-retry"]) == (status, "false")


async def _closed(asked: Asked, phase: Phase) -> None:
    if phase.asked:
        async with asyncio.timeout(LIMIT + 1):
            await asked.case.exchanges[-1].closed.wait()


SIGNALS = (
    # The first signal lets requests go on for a while; the second does not. An ended process has an exit code.
    ("SIGTERM and its time-out", (signal.SIGTERM,), {"drain_timeout": 0.5}, 0),
    ("a second SIGTERM", (signal.SIGTERM, signal.SIGTERM), {"drain_timeout": 60}, 1),
    ("SIGTERM, then SIGINT", (signal.SIGTERM, signal.SIGINT), {"drain_timeout": 60}, 1),
)


@pytest.mark.parametrize(("name", "signals", "server", "code"), SIGNALS, ids=[one[0] for one in SIGNALS])
async def test_f82_shutdown_ends_every_phase(
    started: Started, name: str, signals: tuple[signal.Signals, ...], server: dict[str, object], code: int
) -> None:
    async with started(**server) as house, AsyncExitStack() as stack:
        ones = [await stack.enter_async_context(asked(house, phase)) for phase in PHASES]
        for number in signals:
            house.gateway.process.send_signal(number)
            await asyncio.sleep(0.1)  # two of the same that are pending are one
        seen = await asyncio.gather(*(one.wire.answer() for one in ones))
        assert await asyncio.to_thread(house.gateway.process.wait, 10) == code
        for one, phase, told in zip(ones, PHASES, seen, strict=True):
            if phase.receive_buffer is None:
                _check_told(told, phase, 503, "server_shutting_down")
            assert b"[DONE]" not in told.body  # a reader that is too slow to be told is cut off, which is no end either
            assert [(line["outcome"], line["by"]) for line in await one.case.noted()] == [("cancelled", "drain")]
            assert not phase.asked or one.case.exchanges[-1].closed.is_set()


async def test_a_second_cancel_changes_nothing(house: House) -> None:
    async with asked(house, PHASES[4]) as one:
        await _cancel(one)
        await _cancel(one)
        assert (await one.case.ended())["by"] == "api"


async def test_a_cancel_that_comes_too_late_tells_how_it_ended(house: House) -> None:
    case = house.case("p", DONE_AT_ONCE)
    await case.answer()
    seen = await house.call(post(f"/v1/requests/{case.id}/cancel", b""))
    assert (seen.status, seen.json["state"], seen.json["by"]) == (200, "completed", None)


async def test_an_unknown_id_is_answered_clearly(house: House) -> None:
    seen = await house.call(post("/v1/requests/nobody-has-this-id/cancel", b""))
    assert (seen.status, seen.error["code"]) == (404, "request_not_found")


async def test_an_administrator_stops_all_of_a_model(house: House) -> None:
    async with asked(house, PHASES[2]) as one, asked(house, PHASES[4]) as other:
        seen = await house.call(post("/v1/requests/cancel", {"model": one.case.model}))
        assert [request["id"] for request in seen.json["data"]] == [one.case.id]
        assert (await one.case.ended())["by"] == "admin"
        assert (await other.case.state())["state"] == "running"


async def test_the_next_request_on_the_same_provider_gets_no_byte_of_a_cancelled_one(house: House) -> None:
    for phase in PHASES[2:6]:
        async with asked(house, phase) as one:
            one.wire.rst()
            await one.case.ended()
        after = house.case("p", DONE_AT_ONCE)
        assert (await after.answer()).text == "one more "


async def test_usage_so_far_is_kept_and_said_to_be_an_estimate(house: House) -> None:
    async with asked(house, PHASES[4]) as one:
        await _cancel(one)
    (line,) = await one.case.noted()
    assert (line["tokens_out"], line["estimated"]) == (1, True)
