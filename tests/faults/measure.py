"""`python -m tests.faults.measure [N]`: how long a stop takes until the provider's connection is closed, as a table."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

from llmproxy.testing import FakeProvider
from tests.faults.house import House, config
from tests.faults.phases import PHASES, Phase, asked, full_socket
from tests.faults.test_cancel import ENDERS, Ender
from tests.gateway import free_port, running_gateway


async def closing(house: House, phase: Phase, ender: Ender) -> float:
    """Seconds from the stop until the provider saw its connection end."""
    house.provider.exchanges.clear()  # to look through thousands would be measured, too
    async with asked(house, phase) as one:
        began = time.monotonic()
        await ender.act(one)
        exchange = one.case.exchanges[-1]
        await exchange.closed.wait()
        assert exchange.closed_at is not None
        return exchange.closed_at - began


async def table(house: House, count: int) -> None:
    enders = [one for one in ENDERS if one.deadline is None]
    print("| phase | " + " | ".join(ender.name for ender in enders) + " |")
    print("|---|" + "---|" * len(enders))
    for phase in PHASES:
        if phase.asked:
            print(
                f"| {phase} | " + " | ".join([await cell(house, phase, ender, count) for ender in enders]) + " |",
                flush=True,
            )


async def cell(house: House, phase: Phase, ender: Ender, count: int) -> str:
    times = sorted([1000 * await closing(house, phase, ender) for _ in range(count)])
    return f"{statistics.median(times):.1f} / {times[int(0.99 * (count - 1))]:.1f}"


async def main(count: int) -> None:
    port = free_port()
    async with FakeProvider(port) as provider:
        with full_socket() as full, running_gateway(config(port, full)) as gateway:
            await table(House(gateway, provider), count)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
