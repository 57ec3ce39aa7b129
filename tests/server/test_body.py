"""A large body is read without keeping the others waiting."""

from __future__ import annotations

import asyncio
import threading

import pytest

from llmproxy.server.middleware import body
from llmproxy.server.middleware.body import parsed
from tests.waiting import until


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


async def test_a_body_with_very_many_members_waits_for_others_like_it_and_is_forgotten_if_its_request_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(body, "is_crowded", lambda raw: True)
    began, go_on, seen = threading.Event(), threading.Event(), []

    def parse(raw: bytes) -> None:
        began.set()
        assert go_on.wait(10)
        seen.append(raw[0])

    def asked(number: int) -> asyncio.Future[None]:
        return asyncio.ensure_future(parsed(bytes([number]) * 2_000_000, parse))

    first = asked(0)
    await asyncio.to_thread(began.wait, 10)
    second, third = asked(1), asked(2)
    await asyncio.sleep(0)
    second.cancel()
    go_on.set()
    await asyncio.gather(first, third)
    until(lambda: not [one for one in threading.enumerate() if one.name == "llmproxy-json"], "no thread is left")
    assert sorted(seen) == [0, 2]


async def test_a_mistake_in_a_body_with_very_many_members_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "is_crowded", lambda raw: True)

    def parse(raw: bytes) -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        await parsed(bytes(2_000_000), parse)
