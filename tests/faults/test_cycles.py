"""F21, F22 and the soak: after thousands of requests that were cut off somewhere, nothing is left of them.

LLMPROXY_SOAK=1 runs ten thousand cycles and a minute (or LLMPROXY_SOAK_SECONDS) of a hundred streams with random faults.
"""

from __future__ import annotations

import asyncio
import os
import random
import time

import pytest

from llmproxy.testing import Behaviour, completion
from tests.faults.conftest import Started
from tests.faults.house import FIRST, LAST, MORE, STREAM, Case, House, soon, streaming, whole
from tests.faults.phases import BURST, GEMINI, LOADING, SLOW
from tests.faults.wire import Wire, get, post

SOAK = os.environ.get("LLMPROXY_SOAK") == "1"
WARM, CYCLES = (6_000, 10_000) if SOAK else (1_000, 1_000)  # memory settles within the first thousands
SECONDS = float(os.environ.get("LLMPROXY_SOAK_SECONDS", "60"))
AT_ONCE = 40
GROWTH = 5_000_000  # bytes

# Provider, what it does, and whether the answer is streamed.
MIX: tuple[tuple[str, tuple[Behaviour, ...], bool], ...] = (
    ("p", (streaming(FIRST, MORE, LAST),), True),
    ("p", (SLOW,), True),
    ("p", (streaming(b": ping\n\n", ending="hang"),), True),
    ("p", (streaming(FIRST, ending="hang"),), True),
    ("p", (streaming(FIRST, *BURST, every=0.001),), True),
    ("p", (streaming(FIRST, ending="rst"),), True),
    ("p", (streaming(FIRST),), True),
    ("p", (whole({"error": {}}, 503), streaming(FIRST, MORE, LAST)), True),
    ("p", (whole({"error": {}}, 503, Retry_After="8"),), True),
    ("p", (SLOW,), False),
    ("p", (Behaviour([b'{"id":'], headers=STREAM, ending="hang"),), False),
    ("one", (streaming(FIRST, MORE, LAST, every=0.01),), True),
    ("full", (), True),
    ("gem", (streaming(GEMINI, ending="hang"),), True),
    ("llama", (whole(LOADING, 503),), True),
    ("brief", (SLOW,), True),
)


async def cycle(house: House, dice: random.Random) -> None:
    """One request, left in one way or another after some time or some bytes."""
    provider, script, stream = dice.choice(MIX)
    case = house.case(provider, *script)
    async with await case.send(stream=stream, deadline=dice.choice([None, None, 0.05, 0.5])) as wire:
        await wait_a_little(wire, dice)
        await leave(case, wire, dice)


async def wait_a_little(wire: Wire, dice: random.Random) -> None:
    try:
        async with asyncio.timeout(dice.choice([0, 0.001, 0.01, 0.03])):
            await wire.until(b"one ")
    except (TimeoutError, EOFError, ConnectionError):
        return


async def leave(case: Case, wire: Wire, dice: random.Random) -> None:
    how = dice.choice(["fin", "rst", "half_close", "api"])
    if how == "api":
        await case.house.call(post(f"/v1/requests/{case.id}/cancel", b""))
    elif how == "half_close":
        wire.half_close()
        await wire.rest()
    else:
        getattr(wire, how)()


async def many(house: House, count: int, seed: int) -> None:
    left = iter(range(count))

    async def worker(number: int) -> None:
        dice = random.Random(f"{seed}-{number}")
        for _ in left:
            await cycle(house, dice)

    await asyncio.gather(*(worker(number) for number in range(AT_ONCE)))
    await house.quiet()
    house.provider.exchanges.clear()


async def settled(house: House, sockets: int) -> None:
    """No more sockets than before, once those that wait for use have been kept long enough to prove it."""

    async def look() -> bool:
        return house.sockets <= sockets + 2

    await house.provider.hang_up()
    await soon(look)


async def left_early(house: House) -> int:
    text = (await house.call(get("/metrics"))).body.decode()
    counts = [line for line in text.splitlines() if line.startswith("llmproxy_refused_total{") and '"499"' in line]
    return sum(int(float(line.rpartition(" ")[2])) for line in counts)


@pytest.mark.timeout(1200)
async def test_f21_nothing_is_left_of_requests_that_were_cut_off(started: Started) -> None:
    async with started() as house:
        before = house.sockets
        await many(house, 400, seed=1)  # everything that is loaded once, and the ring of remembered requests, is there
        await many(house, WARM, seed=2)
        memory = house.memory
        await many(house, CYCLES, seed=3)
        assert house.memory - memory < GROWTH
        await settled(house, before)

        async def all_told() -> (
            bool
        ):  # those that left before they had a task are refusals, of which not each has a line
            return len(house.gateway.events("request")) + await left_early(house) == 400 + WARM + CYCLES

        await soon(all_told)
        assert house.gateway.events("internal_error") == []
        assert "Traceback" not in house.gateway.output


REMEMBERED = {
    "long questions": (1_000_000, whole(completion("Hi"))),
    "long answers": (1, whole(completion("x" * 1_000_000))),
    "failures": (1_000_000, whole({"error": {"message": "no"}}, 400)),
}


@pytest.mark.parametrize("name", REMEMBERED)
async def test_of_a_request_that_is_over_only_its_numbers_are_remembered(started: Started, name: str) -> None:
    length, behaviour = REMEMBERED[name]
    async with started() as house:
        case = house.case("p", behaviour)
        question = {"model": case.model, "messages": [{"role": "user", "content": "x" * length}]}
        await house.call(post("/v1/chat/completions", question))
        before = house.memory
        for _ in range(60):
            await house.call(post("/v1/chat/completions", question))
        house.provider.exchanges.clear()
        assert len((await house.call(get("/v1/requests"))).json["recent"]) == 61
        assert house.memory - before < 30_000_000


async def test_f22_a_great_many_cancels_at_once_take_effect_at_once(started: Started) -> None:
    count = 1000 if SOAK else 200
    async with started() as house:
        before = house.sockets
        cases = [house.case("p", streaming(FIRST, ending="hang")) for _ in range(count)]
        wires = [await case.send() for case in cases]
        for wire in wires:
            await wire.until(b'"one "')
        began = time.monotonic()
        seen = await house.call(post("/v1/requests/cancel", b""))
        assert len(seen.json["data"]) == count
        for exchange in house.provider.exchanges:
            await exchange.closed.wait()
        assert max(exchange.closed_at or 0 for exchange in house.provider.exchanges) - began < 2
        for wire in wires:
            assert (await wire.answer()).error["by"] == "admin"
            wire.fin()
        assert await house.running() == []
        await settled(house, before)


@pytest.mark.skipif(not SOAK, reason="LLMPROXY_SOAK=1 runs it")
@pytest.mark.timeout(0)
async def test_a_soak_of_a_hundred_streams_with_random_faults(started: Started) -> None:
    async with started() as house:
        before = house.sockets
        await many(house, 1500, seed=4)
        memory, until = house.memory, time.monotonic() + SECONDS
        total = 0

        async def worker(number: int) -> None:
            nonlocal total
            dice = random.Random(number)
            while time.monotonic() < until:
                await cycle(house, dice)
                total += 1
                if number == 0:
                    house.provider.exchanges.clear()
                    assert (await house.call(get("/livez"))).status == 200

        await asyncio.gather(*(worker(number) for number in range(100)))
        await house.quiet()
        assert total > 1000
        assert house.memory - memory < 2 * GROWTH
        await settled(house, before)
        assert house.gateway.events("internal_error") == []
