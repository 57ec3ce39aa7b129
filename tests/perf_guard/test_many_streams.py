"""What thousands of streams that are open cost the periodic jobs: calls and objects, not time."""

from __future__ import annotations

import asyncio
import gc
from types import SimpleNamespace
from typing import Any

import pytest

from llmproxy.accounts.keys import Keyring
from llmproxy.config import Key
from llmproxy.server import account_watch
from llmproxy.server.context import ACCOUNTS, REGISTRY
from llmproxy.server.process import disconnect_watchdog, load_monitor
from llmproxy.server.process.load_monitor import GivingBack

from .counting import calls

MB = 1024 * 1024


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
