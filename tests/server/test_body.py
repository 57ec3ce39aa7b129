"""A large body is read without keeping the others waiting."""

from __future__ import annotations

import asyncio
import threading

from llmproxy.server.middleware.body import parsed


async def test_while_a_large_body_is_parsed_the_event_loop_goes_on() -> None:
    gone_on = threading.Event()

    def parse(raw: bytes) -> bool:
        return gone_on.wait(10)

    parsing = asyncio.ensure_future(parsed(bytes(2_000_000), parse))
    await asyncio.sleep(0)
    gone_on.set()
    assert await parsing


async def test_a_small_body_is_parsed_at_once() -> None:
    assert await parsed(b"{}", lambda raw: threading.current_thread()) is threading.main_thread()
