"""What thousands of streams that are open cost the periodic jobs: calls and objects, not time."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llmproxy.accounts.keys import Keyring
from llmproxy.config import Key
from llmproxy.core.chat import Chat
from llmproxy.core.flight import Gaps
from llmproxy.server import account_watch
from llmproxy.server.context import ACCOUNTS, REGISTRY
from llmproxy.server.process import disconnect_watchdog, load_monitor
from llmproxy.server.process.load_monitor import GivingBack
from llmproxy.testing import chunk, sse
from llmproxy.wire.relay import Relay

from .counting import calls, kept

MB = 1024 * 1024
ROOT = Path(__file__).parents[2]


class Transport:
    def __init__(self, *, reading: bool = True) -> None:
        self._reading = reading

    def is_reading(self) -> bool:
        return self._reading

    def get_extra_info(self, name: str) -> None:
        assert not self._reading, "a socket that is read needs no second look"


class Stream:
    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.stopped: list[str] = []

    def stop(self, by: str) -> bool:
        self.stopped.append(by)
        return True


async def test_only_sockets_that_are_not_read_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disconnect_watchdog, "_EVERY", 0.001)
    looked: list[Any] = []
    seen = asyncio.Event()

    def gone(transport: Any) -> bool:
        looked.append(transport)
        seen.set()
        return True

    monkeypatch.setattr(disconnect_watchdog, "_gone", gone)
    read, paused = Stream(Transport()), Stream(Transport(reading=False))
    app: Any = {REGISTRY: [read, paused]}
    with disconnect_watchdog.running(app):
        async with asyncio.timeout(5):
            await seen.wait()
    assert set(looked) == {paused.transport}
    assert (read.stopped, paused.stopped[:1]) == ([], ["client_disconnect"])


def test_memory_that_is_all_in_use_is_not_looked_through_again() -> None:
    giving = GivingBack(0.0)
    assert giving.is_due(6.0, 300 * MB, 5_000)
    giving.done(6.0, 290 * MB, 5_000)
    assert not any(giving.is_due(6.0 + at, (290 + at % 10) * MB, 5_000 - at) for at in range(1, 600))


def test_memory_is_given_back_when_it_has_grown_and_when_most_of_what_ran_has_ended() -> None:
    giving = GivingBack(0.0)
    giving.done(0.0, 290 * MB, 5_000)
    assert giving.is_due(6.0, 310 * MB, 5_000)
    assert giving.is_due(6.0, 290 * MB, 2_000)
    assert not giving.is_due(4.0, 310 * MB, 2_000)
    assert not giving.is_due(6.0, 100 * MB, 0)


@pytest.mark.parametrize(("running", "generation"), [(5_000, 1), (10, 2)])
def test_the_collector_does_not_go_through_the_objects_of_thousands_of_streams(
    running: int, generation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(gc, "collect", asked.append)
    load_monitor._give_back(running)
    assert asked == [generation]


def test_the_look_for_revoked_keys_asks_once_for_each_key_and_not_for_each_stream() -> None:
    ring = Keyring((Key("alice", "a"), Key("bob", "b")))
    streams = [SimpleNamespace(owner=owner) for owner in ("alice", "bob", "") for _ in range(1_000)]
    app: Any = {ACCOUNTS: SimpleNamespace(keys=ring), REGISTRY: streams}
    assert calls(lambda: account_watch.stop_gone(app)).total() < 50


def test_a_silence_that_is_not_among_the_longest_changes_only_the_totals() -> None:
    gaps = Gaps()
    for seconds in (9.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0):
        gaps.add(seconds)
    kept_before = gaps.longest
    gaps.add(1.0)
    assert gaps.longest is kept_before
    assert (gaps.count, gaps.seconds) == (9, 45.0)
    gaps.add(2.5)
    assert [seconds for seconds, _ in gaps.longest] == [9.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 2.5]


def test_the_translator_of_an_open_stream_keeps_little() -> None:
    asked = Chat({"model": "m", "messages": [], "stream": True}, "m")
    piece = sse(chunk({"content": "Hello"}), done=False)
    streams: list[Relay] = []

    def begin() -> None:
        for _ in range(100):
            relay = Relay(asked)
            assert b"".join(relay.feed(piece))
            streams.append(relay)

    begin()
    assert kept(begin) / 100 < 2_500  # 2_215 measured; 3_063 before


def test_an_open_stream_holds_little() -> None:
    """Of Python's own memory, from the client's socket to the provider's; the test's two sockets are in it."""
    environment = {**os.environ, "LLMPROXY_DISCOVER": "0", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.perf_guard.open_streams"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert float(ended.stdout.splitlines()[-1]) < 27_000  # 24_200 to 24_900 measured; 29_900 before
