"""F91, F93, F94: an event loop that stands still, memory that runs out, a clock that jumps."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Started
from tests.faults.house import FIRST, LAST, MORE, Case, House, soon, streaming, whole
from tests.faults.wire import Wire, get, post

BRIEF = streaming(FIRST, LAST)
HOUR = 3600.0
# Loaded by every Python process that finds it: the wall clock is off by what a file says.
CLOCK = """
import pathlib, time
real, shift = time.time, pathlib.Path(__file__).with_name("shift")
time.time = lambda: real() + float(shift.read_text())
time.time_ns = lambda: int(time.time() * 1e9)
"""


async def metric(house: House, name: str) -> float:
    text = (await house.call(get("/metrics"))).body.decode()
    return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name + "{"))


async def test_f91_an_event_loop_that_stood_still_is_measured_and_said(started: Started) -> None:
    async with started() as house:
        await soon(lambda: _measured(house))
        house.gateway.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(1.2)  # the fault itself
        house.gateway.process.send_signal(signal.SIGCONT)
        assert await soon(lambda: _blocked(house))
        assert await metric(house, "llmproxy_loop_lag_seconds") > 0.6
        assert (await house.case("p", BRIEF).answer()).text == "one ", "one hiccup is no reason to refuse"


async def test_f93_without_memory_no_further_request_is_taken_and_the_others_finish(started: Started) -> None:
    async with started(max_memory=1) as house:
        inside = house.case("p", streaming(FIRST, *[MORE] * 20, LAST, every=0.02))
        async with await inside.send() as wire:
            await wire.until(b'"one "')
            refused = await house.case("p", BRIEF).answer()
            assert (refused.status, refused.error["code"], refused.headers["retry-after"]) == (503, "overloaded", "1")
            assert (await house.call(get("/livez"))).status == 200
            assert (await house.call(get("/v1/requests"))).status == 200, "who is inside can still be stopped"
            assert (await wire.answer()).events[-1] == "[DONE]"
        await house.quiet()
        assert (await house.case("p", BRIEF).answer()).status == 200, "alone, a request is always taken"
        assert await metric(house, "llmproxy_memory_bytes") > 10_000_000


async def test_f93_with_memory_enough_nothing_is_refused(started: Started) -> None:
    async with started(max_memory=4_000_000_000) as house:
        cases = [house.case("p", streaming(FIRST, *[MORE] * 10, LAST, every=0.02)) for _ in range(20)]
        assert {seen.status for seen in await asyncio.gather(*(case.answer() for case in cases))} == {200}


async def test_f93_many_large_bodies_at_once_stay_within_the_limit_which_is_given_back_afterwards(
    started: Started,
) -> None:
    limit, size = 200_000_000, 10_000_000
    async with started(max_memory=limit) as house:
        case = house.case("p", BRIEF)
        request = post("/v1/chat/completions", question(case, "x" * size))
        most = house.memory

        async def upload() -> int:
            """The answer's status; 0 if the connection was reset while the body was still being sent."""
            nonlocal most
            async with await Wire.open(house.port) as wire:
                with suppress(ConnectionError, EOFError):
                    for at in range(0, len(request), 500_000):
                        await wire.send(request[at : at + 500_000])
                        await asyncio.sleep(0.02)
                        most = max(most, house.memory)
                    return (await wire.answer()).status
            return 0

        seen = await asyncio.gather(*(upload() for _ in range(40)))
        assert set(seen) <= {200, 503, 0}
        assert 0 < seen.count(200) < 40
        assert most < 1.3 * limit
        assert await soon(lambda: _light(house))
        assert (await house.case("p", BRIEF).answer()).status == 200


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_f94_a_clock_that_jumps_ends_nothing_and_keeps_nothing_waiting(
    started: Started, tmp_path: Path, jump: float
) -> None:
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    shift = tmp_path / "shift"
    shift.write_text("0")
    async with started(environment={"PYTHONPATH": str(tmp_path)}) as house:
        streamed = house.case("brief", streaming(FIRST, *[MORE] * 20, LAST, every=0.02))
        backing_off = house.case("p", whole({"error": {}}, 503, Retry_After="1"), BRIEF)
        async with await streamed.send(deadline=60) as wire, await backing_off.send(deadline=60) as waiting:
            await wire.until(b'"one "')
            await backing_off.reaches("backing_off")
            shift.write_text(str(jump))
            assert (await wire.answer()).events[-1] == "[DONE]"
            assert (await waiting.answer()).text == "one "
        state = await streamed.ended()
        assert 0 <= state["ttft_ms"] <= state["duration_ms"] < 60_000
        assert 0 <= state["age_s"] < 60
        late = await house.case("brief", streaming(FIRST, ending="hang")).answer()
        assert late.error["code"] == "upstream_idle_timeout", "time-outs are what they were"
        after = house.case("p", BRIEF)
        await after.answer()
        assert abs((await after.ended())["started_at"] - time.time() - jump) < 60, "the clock did jump"
        window = await house.call(get("/api/metrics/performance?window=hour"))
        assert window.status == 200
        assert (await house.call(post("/threads", {"title": "now"}))).status in (200, 201)


async def _measured(house: House) -> bool:
    """Whether it has looked at its event loop and its memory once: it announces its address before."""
    return await metric(house, "llmproxy_memory_bytes") > 0


async def _blocked(house: House) -> bool:
    return bool(house.gateway.events("event_loop_blocked"))


async def _light(house: House) -> bool:
    return house.memory < 140_000_000


def question(case: Case, text: str) -> dict[str, Any]:
    return {"model": case.model, "messages": [{"role": "user", "content": text}], "stream": True}
