"""The real server process: what it has kept when it is killed, and how it says so afterwards."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest

from tests import waiting
from tests.gateway import Gateway, free_port, running_gateway

CONFIG = """
[providers.demo]
adapter = "demo"
tokens_per_second = 200
"""
FAST = CONFIG.replace("200", "2000")
SLOW = CONFIG.replace("200", "10")  # a long answer takes minutes
KILLS = int(os.environ.get("LLMPROXY_SERVER_KILLS", "4"))


@contextmanager
def asked(gateway: Gateway, method: str, path: str, body: Any = None) -> Iterator[HTTPResponse]:
    connection = HTTPConnection(gateway.url.removeprefix("http://"), timeout=20)
    data = None if body is None else orjson.dumps(body)
    connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
    try:
        yield connection.getresponse()
    finally:
        connection.close()


def call(gateway: Gateway, method: str, path: str, body: Any = None) -> Any:
    with asked(gateway, method, path, body) as response:
        return orjson.loads(response.read() or b"null")


def until(wanted: bytes, response: HTTPResponse) -> list[dict[str, Any]]:
    """The data of the events up to the first of that name."""
    found, name = [], b""
    for line in response:
        if line.startswith(b"event: "):
            name = line[7:].strip()
        if line.startswith(b"data: "):
            found.append(orjson.loads(line[6:]))
            if name == wanted:
                break
    return found


def begin(gateway: Gateway, model: str = "demo/slow") -> str:
    """A thread with an answer of some tokens that is still growing."""
    thread = call(gateway, "POST", "/threads", {})["id"]
    question = {"content": "Tell me a long story", "model": model}
    with asked(gateway, "POST", f"/threads/{thread}/messages/stream", question) as response:
        until(b"token", response)
    return str(thread)


def answer(gateway: Gateway, thread: str) -> dict[str, Any]:
    return dict(call(gateway, "GET", f"/threads/{thread}/messages")["messages"][1])


def test_an_answer_cut_by_kill_is_lost_with_what_had_been_kept() -> None:
    with running_gateway(CONFIG) as gateway:
        thread = begin(gateway)
        kept = ""
        deadline = time.monotonic() + 10
        while not kept and time.monotonic() < deadline:
            kept = answer(gateway, thread)["content"]
        gateway.process.kill()
        gateway.process.wait()
        environment = {"LLMPROXY_DATA_DIR": str(gateway.folder / "data")}
        with running_gateway(CONFIG, environment) as again:
            lost = answer(again, thread)
            shown = call(again, "GET", f"/threads/{thread}")
    assert kept
    assert lost["state"] == "lost"
    assert lost["content"].startswith(kept)
    assert shown["running"] == []


def test_a_stop_of_the_process_ends_answers_properly() -> None:
    config = CONFIG + "\n[server]\ndrain_timeout = 0.2\n"
    with running_gateway(config) as gateway:
        thread = begin(gateway)
        assert gateway.stop() == 0
        environment = {"LLMPROXY_DATA_DIR": str(gateway.folder / "data")}
        with running_gateway(config, environment) as again:
            stopped = answer(again, thread)
    assert stopped["state"] == "stopped"
    assert stopped["content"]


def test_a_second_process_over_the_same_data_leaves_a_growing_answer_alone() -> None:
    with running_gateway(SLOW) as gateway:
        thread = begin(gateway, "demo/long")
        environment = {"LLMPROXY_DATA_DIR": str(gateway.folder / "data")}
        with running_gateway(CONFIG, environment, port=free_port()) as other:
            assert answer(other, thread)["state"] == "streaming"


@pytest.mark.timeout(60 + 10 * KILLS)
def test_no_answer_that_was_told_is_missing_however_often_the_gateway_is_killed() -> None:
    chance = random.Random(7)
    told: dict[str, tuple[str, str]] = {}  # message: its thread, its text
    with TemporaryDirectory(prefix="llmproxy-test-") as data:
        moments: list[Callable[[], object]] = [
            *(partial(time.sleep, chance.uniform(0.05, 0.4)) for _ in range(KILLS)),
            lambda: waiting.until(lambda: told, "a whole answer"),  # however slow the machine is
        ]
        for moment in moments:
            with running_gateway(FAST, {"LLMPROXY_DATA_DIR": data}) as gateway, ThreadPoolExecutor(4) as clients:
                asking = [clients.submit(ask_until_gone, gateway, told) for _ in range(4)]
                try:
                    moment()
                finally:  # only then do the clients end
                    gateway.process.kill()
            for client in asking:
                client.result()
        with running_gateway(FAST, {"LLMPROXY_DATA_DIR": data}) as gateway:
            found: dict[str, tuple[str, str]] = {}
            for thread in {thread for thread, _ in told.values()}:
                kept = call(gateway, "GET", f"/threads/{thread}/messages")["messages"]
                found |= {one["id"]: (thread, one["content"]) for one in kept if one["state"] == "complete"}
                assert {one["state"] for one in kept} <= {"complete", "lost"}
    assert told
    assert {id: found.get(id) for id in told} == told


def ask_until_gone(gateway: Gateway, told: dict[str, tuple[str, str]]) -> None:
    with suppress(OSError, HTTPException):
        thread = call(gateway, "POST", "/threads", {})["id"]
        while True:
            question = {"content": "Hi", "model": "demo/hello", "max_tokens": 5, "parent_id": None}
            with asked(gateway, "POST", f"/threads/{thread}/messages/stream", question) as response:
                done = [event for event in until(b"done", response) if "ok" in event]
            for event in done:
                assert event["ok"]
                told[event["message_id"]] = (thread, event["response"])
