"""Others open and close the database beside a running gateway; then it is killed: no answer that was told is missing."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

import pytest

from tests import waiting
from tests.gateway import Gateway, free_port, running_gateway

from .test_process import FAST, asked, call, until

WORKERS = FAST + "\n[server]\nworkers = 2\n"
ROUNDS = int(os.environ.get("LLMPROXY_SERVER_OUTSIDERS", "1"))
CLIENTS = 6
pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find the workers")


@dataclass(slots=True)
class House:
    """A data folder, and what gateways on it have told: message -> its thread, its text."""

    data: Path
    told: dict[str, tuple[str, str]] = field(default_factory=dict)

    @contextmanager
    def gateway(self) -> Iterator[Gateway]:
        """A gateway with two workers, on any port, beside those that run already."""
        with running_gateway(WORKERS, {"LLMPROXY_DATA_DIR": str(self.data)}, port=free_port()) as started:
            yield started

    @contextmanager
    def clients(self, gateway: Gateway) -> Iterator[None]:
        """Ask until the gateway is gone."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            asking = [pool.submit(self.ask, gateway) for _ in range(CLIENTS)]
            try:
                yield
            except BaseException:
                kill(gateway)  # or they would ask for ever, and the failure would never be told
                raise
        for client in asking:
            client.result()

    def ask(self, gateway: Gateway) -> None:
        """Each request has a connection of its own, so both workers answer, write and read."""
        while gateway.process.poll() is None:
            with suppress(OSError, HTTPException, ValueError):  # ValueError: an event that was cut
                self.ask_once(gateway)

    def ask_once(self, gateway: Gateway) -> None:
        thread = call(gateway, "POST", "/threads", {}).get("id")
        question = {"content": "Hi", "model": "demo/hello", "max_tokens": 5}
        with asked(gateway, "POST", f"/threads/{thread}/messages/stream", question) as response:
            ends = [event for event in until(b"done", response) if event.get("ok")]
        self.told |= {event["message_id"]: (thread, event["response"]) for event in ends}
        call(gateway, "GET", f"/threads/{thread}/messages")

    def more(self, count: int = 12) -> None:
        """Waits until so many more answers have been told."""
        goal = len(self.told) + count
        waiting.until(lambda: len(self.told) >= goal)

    def nothing_is_missing(self) -> None:
        with closing(sqlite3.connect(self.data / "llmproxy.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            rows = database.execute("SELECT id, thread_id, text FROM messages WHERE state = 'complete'").fetchall()
        found = {id: (thread, text) for id, thread, text in rows}
        assert {id for id, what in self.told.items() if found.get(id) != what} == set()


def workers_of(gateway: Gateway) -> list[int]:
    pid = gateway.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill(gateway: Gateway) -> None:
    for pid in [gateway.process.pid, *workers_of(gateway)]:
        os.kill(pid, signal.SIGKILL)
    gateway.process.wait()


def command(house: House, *words: str) -> None:
    environment = {**os.environ, "LLMPROXY_DATA_DIR": str(house.data), "LLMPROXY_DISCOVER": "0"}
    subprocess.run(
        [sys.executable, "-m", "llmproxy", *words],
        env=environment,
        cwd=house.data.parent,
        check=True,
        capture_output=True,
    )


def a_reader(house: House, _: Gateway) -> None:
    with closing(sqlite3.connect(house.data / "llmproxy.db")) as database:
        database.execute("SELECT count(*) FROM messages").fetchone()


def check(house: House, _: Gateway) -> None:
    command(house, "check")


def backup(house: House, _: Gateway) -> None:
    copy = house.data.parent / f"{time.monotonic_ns()}.db"
    command(house, "backup", str(copy))
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def a_second_gateway(house: House, _: Gateway) -> None:
    with house.gateway() as second:
        house.ask_once(second)
        assert second.stop() == 0


def a_killed_worker(house: House, gateway: Gateway) -> None:
    """It closes nothing: what it leaves must not hurt the others."""
    replaced(gateway, signal.SIGKILL)


def a_stopped_worker(house: House, gateway: Gateway) -> None:
    """It closes the database in an orderly way."""
    replaced(gateway, signal.SIGTERM)


def replaced(gateway: Gateway, by: signal.Signals) -> None:
    gone = workers_of(gateway)[0]
    os.kill(gone, by)
    waiting.until(lambda: len(now := workers_of(gateway)) == 2 and gone not in now)


OUTSIDERS = [
    *(pytest.param(one, marks=pytest.mark.thorough) for one in (a_reader, check, backup, a_killed_worker)),
    a_second_gateway,
    a_stopped_worker,
]


@pytest.mark.parametrize("outsider", OUTSIDERS, ids=lambda outsider: outsider.__name__)
@pytest.mark.timeout(60 + 60 * ROUNDS)
def test_nothing_that_was_told_is_missing(outsider: Callable[[House, Gateway], None], tmp_path: Path) -> None:
    house = House(tmp_path / "data")
    for _ in range(ROUNDS):
        with house.gateway() as gateway, house.clients(gateway):
            house.more()
            outsider(house, gateway)
            house.more()
            kill(gateway)
        house.nothing_is_missing()


@pytest.mark.timeout(60 + 60 * ROUNDS)
def test_nothing_that_was_told_is_missing_after_a_rolling_restart(tmp_path: Path) -> None:
    house = House(tmp_path / "data")
    for _ in range(ROUNDS):
        with house.gateway() as first, house.clients(first):
            house.more()
            with house.gateway() as second, house.clients(second):
                house.more()
                assert first.stop() == 0
                house.more()
                kill(second)
        house.nothing_is_missing()
