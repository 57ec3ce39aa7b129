"""Measures how long a stop through a replica that does not own the request takes: `python -m tests.cluster.measure 500`."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys

from tests.cluster.processes import replicas
from tests.cluster.test_processes import stopped


async def main(count: int) -> None:
    """Three replicas on this machine, one stream after the other; the clock is that of client and provider, one process."""
    async with replicas() as cluster:
        await stopped(cluster, 20, at_once=1)
        before = os.getloadavg()[0]
        took = [one for one in await stopped(cluster, count, at_once=1, prefix="measured") if one is not None]
    cuts = statistics.quantiles(took, n=100)
    told = ", ".join(f"p{at} {cuts[at - 1] * 1000:.1f} ms" for at in (50, 90, 99))
    print(f"{len(took)} of {count} stops closed their provider's connection: {told}, max {max(took) * 1000:.1f} ms")
    print(f"load {before:.1f} before, {os.getloadavg()[0]:.1f} after, {os.cpu_count()} CPUs")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
