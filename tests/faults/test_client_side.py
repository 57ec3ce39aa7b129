"""F01-F23: what clients do to a gateway. F01-F05 and F08 are the first columns of test_cancel.py."""

from __future__ import annotations

import asyncio
import os
import resource
import signal

import openai
import pytest

from tests.faults.conftest import Started
from tests.faults.house import FIRST, LAST, MORE, House, soon, streaming, whole
from tests.faults.phases import FLOOD, SLOW
from tests.faults.wire import Wire, get, post

SILENT = streaming(FIRST, ending="hang")
READERS = 24
BRIEF = streaming(FIRST, MORE, LAST)


async def test_f06_fin_after_the_request_line_asks_nobody(house: House) -> None:
    before = len(house.provider.exchanges)
    wire = await Wire.open(house.port)
    await wire.send(b"POST /v1/chat/completions HTTP/1.1\r\n")
    wire.fin()
    assert (await house.call(get("/livez"))).status == 200
    assert len(house.provider.exchanges) == before


@pytest.mark.parametrize("leave", [Wire.fin, Wire.rst, Wire.half_close])
async def test_f07_leaving_during_the_upload_asks_nobody(house: House, leave: object) -> None:
    case = house.case("p", BRIEF)
    async with await Wire.open(house.port) as wire:
        await wire.send(case.ask()[:-10])
        leave(wire)  # type: ignore[operator]  # a method of Wire
    assert (await house.call(get("/livez"))).status == 200
    assert case.exchanges == []
    assert case.logged == []


async def test_f09_leaving_in_a_backoff_ends_the_attempts(house: House) -> None:
    case = house.case("p", whole({"error": {}}, 503, Retry_After="1"))
    wire = await case.send()
    await case.reaches("backing_off")
    wire.rst()
    await case.ended()
    await asyncio.sleep(1.5)  # longer than the pause and its jitter: what must not come would have come
    assert len(case.exchanges) == 1


async def test_f10_leaving_in_the_tick_of_completion_gives_one_end(house: House) -> None:
    async def one(wait: float) -> list[str]:
        case = house.case("p", streaming(FIRST, LAST, every=0.005))
        wire = await case.send()
        await wire.until(b'"one "')
        await asyncio.sleep(wait)
        wire.fin()
        return [line["outcome"] for line in await case.noted()]

    outcomes = await asyncio.gather(*(one(0.002 + step / 8000) for step in range(64)))
    assert all(len(ends) == 1 for ends in outcomes)
    assert {ends[0] for ends in outcomes} <= {"ok", "cancelled"}
    await house.quiet()


async def test_f12_f18_readers_that_stop_are_left_and_cost_little(started: Started) -> None:
    async with started(limits="slow_reader = 0.5") as house:
        await house.case("p", BRIEF).answer()  # what is loaded for a first request is not theirs
        before = house.memory
        cases = [house.case("p", streaming(*FLOOD, ending="hang")) for _ in range(READERS)]
        wires = [await case.send(receive_buffer=4096) for case in cases]
        for case in cases:
            ended = await case.ended()
            assert (ended["state"], ended["by"]) == ("cancelled", "slow_reader")
            await case.exchanges[-1].closed.wait()
        assert house.memory - before < READERS * 2_500_000
        for wire in wires:
            wire.fin()


async def test_f18_readers_that_stop_hold_little_of_the_systems_memory_either(house: House) -> None:
    cases = [house.case("p", streaming(*FLOOD, ending="hang")) for _ in range(READERS)]
    wires = [await case.send(receive_buffer=4096) for case in cases]
    for wire in wires:
        await wire.until(b"data:")
    held = 0
    while held != (held := house.unsent):  # noqa: ASYNC110  # until nothing more goes in
        await asyncio.sleep(0.3)
    assert 0 < held < READERS * 400_000
    for wire in wires:
        wire.rst()
    await house.quiet()


async def test_f13_a_slow_reader_that_goes_on_is_served(started: Started) -> None:
    async with started(limits="slow_reader = 0.5") as house:
        case = house.case("p", streaming(*FLOOD[:60], LAST))
        async with await case.send(receive_buffer=4096) as wire:
            for _ in range(10):  # altogether longer than the patience with one that does not read at all
                await wire.more(100_000)
                await asyncio.sleep(0.08)
            assert (await wire.answer()).events[-1] == "[DONE]"


async def test_f14_leaving_behind_pipelined_requests_is_noticed(house: House) -> None:
    case = house.case("p", SLOW)
    wire = await case.send()
    await case.arrived()
    await wire.send(get("/livez") * 40)
    await asyncio.sleep(0.05)
    wire.fin()
    assert (await case.ended())["by"] == "client_disconnect"
    await case.exchanges[-1].closed.wait()


async def test_f15_who_says_nothing_is_closed(started: Started) -> None:
    async with started(header_timeout=0.3) as house, await Wire.open(house.port) as wire:
        assert await _closed_in_time(wire)


async def test_f16_a_head_that_drips_is_closed(started: Started) -> None:
    async with started(header_timeout=0.3) as house, await Wire.open(house.port) as wire:
        dripping = asyncio.create_task(_drip(wire, post("/v1/chat/completions", {})))
        assert await _closed_in_time(wire)
        dripping.cancel()


async def test_f16_a_head_that_drips_after_an_answer_is_closed(started: Started) -> None:
    async with started(header_timeout=0.3) as house, await Wire.open(house.port) as wire:
        await wire.send(get("/livez"))
        assert (await wire.answer()).status == 200
        dripping = asyncio.create_task(_drip(wire, get("/livez")))
        assert await _closed_in_time(wire)
        dripping.cancel()


async def test_f15_an_idle_connection_that_has_been_answered_is_kept(started: Started) -> None:
    async with started(header_timeout=0.3) as house, await Wire.open(house.port) as wire:
        for pause in (1.4, 0):  # longer than the time for a head and the look at it
            await wire.send(get("/livez"))
            assert (await wire.answer()).status == 200
            await asyncio.sleep(pause)


@pytest.mark.parametrize("sent", ["dripped", "never"])
async def test_f17_a_body_that_does_not_come_is_a_408(started: Started, sent: str) -> None:
    async with started(body_timeout=0.3) as house:
        case = house.case("p", BRIEF)
        head, _, body = case.ask().partition(b"\r\n\r\n")
        async with asyncio.timeout(5), await Wire.open(house.port) as wire:
            await wire.send(head + b"\r\n\r\n")
            dripping = asyncio.create_task(_drip(wire, body if sent == "dripped" else b""))
            seen = await wire.answer()
            dripping.cancel()
            assert (seen.status, seen.error["code"]) == (408, "request_timeout")
        assert case.exchanges == []


async def test_f19_connections_above_the_cap_are_told_so_and_the_others_go_on(started: Started) -> None:
    async with started(max_connections=10) as house:
        case = house.case("p", streaming(FIRST, *[MORE] * 20, LAST, every=0.02))
        async with await case.send() as streamed:
            await streamed.until(b'"one "')
            inside = [await house.case("p", streaming(FIRST, ending="hang")).send() for _ in range(9)]
            for wire in inside:
                await wire.until(b'"one "')
            more = house.case("p", BRIEF)
            refused = await more.answer()
            assert (refused.status, refused.error["code"]) == (503, "overloaded")
            assert refused.headers["retry-after"]
            assert (await house.call(get("/livez"))).status == 200
            assert (await streamed.answer()).events[-1] == "[DONE]"
            for wire in inside:
                wire.fin()
        assert await soon(lambda: _served(house))


async def test_f19_requests_above_the_cap_are_told_so_and_the_others_go_on(started: Started) -> None:
    async with started(max_in_flight=2) as house:
        inside = [house.case("p", streaming(FIRST, *[MORE] * 20, LAST, every=0.02)) for _ in range(2)]
        wires = [await case.send() for case in inside]
        for case in inside:
            await case.arrived()
        refused = await house.case("p", BRIEF).answer()
        assert (refused.status, refused.error["code"], refused.headers["retry-after"]) == (503, "overloaded", "1")
        for wire in wires:
            assert (await wire.answer()).events[-1] == "[DONE]"
        assert (await house.case("p", BRIEF).answer()).text == "one more "


async def test_f19_a_burst_of_connections_waits_and_is_not_turned_away(started: Started) -> None:
    """Whoever finds no room in the system's queue is heard again after a second."""
    async with started() as house:
        os.kill(house.gateway.process.pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(0.9):
                wires = await asyncio.gather(*(Wire.open(house.port) for _ in range(400)))
        finally:
            os.kill(house.gateway.process.pid, signal.SIGCONT)
        for wire in wires:
            wire.fin()
        assert await soon(lambda: _lives(house))


async def test_f20_running_out_of_descriptors_leaves_streams_alone(started: Started) -> None:
    async with started() as house:
        pid = house.gateway.process.pid
        case = house.case("p", streaming(FIRST, *[MORE] * 50, LAST, every=0.02))
        async with await case.send() as streamed:
            await streamed.until(b'"one "')
            _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(
                pid, resource.RLIMIT_NOFILE, (house.descriptors + 12, hard)
            )  # the database takes some of them
            many = [await Wire.open(house.port) for _ in range(40)]
            assert (await streamed.answer()).events[-1] == "[DONE]"
            for wire in many:
                wire.fin()
        assert await soon(lambda: _lives(house))
        assert len(house.gateway.output.splitlines()) < 60


async def test_f23_the_sdk_does_not_multiply_our_attempts(house: House) -> None:
    case = house.case("p", whole({"error": {"message": "busy"}}, 503, Retry_After="0"))
    async with openai.AsyncOpenAI(api_key="none", base_url=house.gateway.base_url, max_retries=5) as client:
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model=case.model, messages=[{"role": "user", "content": "?"}])
    assert len(case.exchanges) == 3


async def _served(house: House) -> bool:
    return (await house.case("p", BRIEF).answer()).status == 200


async def _lives(house: House) -> bool:
    try:
        return (await house.call(get("/livez"))).status == 200
    except (ConnectionError, EOFError):
        return False


async def _closed_in_time(wire: Wire) -> bool:
    async with asyncio.timeout(5):
        await wire.rest()
    return True


async def _drip(wire: Wire, data: bytes) -> None:
    for at in range(len(data)):
        await wire.send(data[at : at + 1])
        await asyncio.sleep(0.1)
