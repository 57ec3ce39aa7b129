"""The keep-alive timer: pings on silence, disconnects readers that stall, and sleeps in between."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmproxy.server.streaming.keepalive import Calls, KeepAlive
from llmproxy.testing.jumping_clock import run

SILENT, STUCK = 15.0, 30.0


async def watched(seconds: float, *, silent: float = SILENT, stuck: float = STUCK, hangs: bool = False) -> Any:
    """How often it pinged, hung up and looked while nothing was written, or while one write hung."""
    pings: list[float] = []
    hung: list[float] = []
    loop = asyncio.get_running_loop()
    begun = loop.time()

    async def ping() -> None:
        pings.append(loop.time() - begun)

    looks = 0

    class Counted(KeepAlive):
        __slots__ = ()

        def _look(self) -> None:
            nonlocal looks
            looks += 1
            super()._look()

    client = Calls(ping, lambda: hung.append(loop.time() - begun), lambda: 0)
    with Counted(client, silent=silent, stuck=stuck) as keepalive:
        if hangs:
            writing = asyncio.ensure_future(keepalive.write(asyncio.Event().wait()))  # type: ignore[arg-type]
            await asyncio.sleep(seconds)
            writing.cancel()
        else:
            await asyncio.sleep(seconds)
    return pings, hung, looks


def test_a_silent_stream_is_pinged_and_the_timer_sleeps_in_between() -> None:
    pings, hung, looks = run(watched(61.0))
    assert pings == pytest.approx([15.0, 30.0, 45.0, 60.0])
    assert hung == []
    assert looks <= 12


@pytest.mark.parametrize(("silent", "stuck"), [(15.0, 0.0), (15.0, 300.0), (1.0, 30.0), (0.0, 30.0)])
def test_it_never_looks_more_often_than_its_limits_ask(silent: float, stuck: float) -> None:
    pings, _, looks = run(watched(60.5, silent=silent, stuck=stuck))
    assert len(pings) == (int(60.5 / silent) if silent else 0)
    assert looks <= 61 / min(one for one in (silent, stuck / 4) if one > 0) + len(pings) + 1


def test_a_reader_that_takes_nothing_is_hung_up_on() -> None:
    _, hung, _ = run(watched(100.0, hangs=True))
    assert len(hung) == 1
    assert STUCK <= hung[0] <= STUCK * 1.25 + 1
