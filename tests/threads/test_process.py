"""The real server process: what it has kept when it is killed, and how it says so afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import orjson

from tests.gateway import Gateway, free_port, running_gateway

CONFIG = """
[providers.demo]
adapter = "demo"
tokens_per_second = 200
"""


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
    with running_gateway(CONFIG) as gateway:
        thread = begin(gateway)
        environment = {"LLMPROXY_DATA_DIR": str(gateway.folder / "data")}
        with running_gateway(CONFIG, environment, port=free_port()) as other:
            assert answer(other, thread)["state"] == "streaming"
