"""The real server process: a thread's answer continues exactly, from memory, from the disk, and after every kind of end."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.gateway import Gateway, running_gateway
from tests.threads.house import Event, named, parsed, tokens

KEYS = """
[[server.keys]]
name = "a"
secret = "secret-a-of-some-length"
[[server.keys]]
name = "b"
secret = "secret-b-of-some-length"
admin = true
"""
LET_GO = "detached_seconds = 0"  # memory keeps nothing once an answer has ended
SMALL = "tape_bytes = 16000"
SLOWER = "tape_bytes = 40000"  # what comes in half a second: a disk that is slower than memory fills leaves a gap


def config(limits: str = "", storage: str = "", keys: str = "", rate: int = 1000) -> str:
    """A demo that tells about 50 bytes of events with each of its tokens."""
    return f"""
        [server]
        drain_timeout = 0.1
        {keys}
        [limits]
        {limits}
        [storage]
        {storage}
        [providers.demo]
        adapter = "demo"
        tokens_per_second = {rate}
        """


@dataclass
class Client:
    """Somebody with a key, who asks in threads."""

    gateway: Gateway
    key: str = "secret-a-of-some-length"

    @contextmanager
    def open(self, method: str, path: str, body: Any = None, **headers: str) -> Iterator[Any]:
        sent = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", **headers}
        with closing(HTTPConnection(self.gateway.url.removeprefix("http://"), timeout=20)) as connection:
            connection.request(method, path, None if body is None else orjson.dumps(body), sent)
            yield connection.getresponse()

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        with self.open(method, path, body) as response:
            return response.status, orjson.loads(response.read() or b"null")

    def thread(self) -> str:
        return str(self.call("POST", "/threads", {})[1]["id"])

    @contextmanager
    def asked(self, thread: str, model: str = "demo/long", **members: Any) -> Iterator[Any]:
        question = {"content": "Hi", "model": model, "parent_id": None, **members}
        with self.open("POST", f"/threads/{thread}/messages/stream", question) as response:
            assert response.status == 200
            yield response

    def told(self, thread: str, **members: Any) -> bytes:
        """All that is told of an answer, to a reader who stays."""
        with self.asked(thread, **members) as response:
            return bytes(response.read())

    def resumed(self, id: str, after: int = 0) -> tuple[int, bytes]:
        with self.open("GET", f"/v1/requests/{id}/stream", **{"Last-Event-ID": str(after)}) as response:
            return response.status, response.read()

    def refused(self, id: str, after: int = 0) -> tuple[int, str, int | None]:
        """Status, code and `oldest`."""
        status, body = self.resumed(id, after)
        error = orjson.loads(body)["error"]
        return status, error["code"], error.get("oldest")


@contextmanager
def restarted(gateway: Gateway, text: str) -> Iterator[Client]:
    """Another process over the data of one that has ended."""
    with running_gateway(text, {"LLMPROXY_DATA_DIR": str(gateway.folder / "data")}) as again:
        yield Client(again)


def request(events: list[Event]) -> str:
    return str(events[0][2]["request_id"])


def after(told: bytes, number: int) -> bytes:
    """What comes after an event of that number."""
    return told.split(b"\n\n", number)[-1]


def some(last: int) -> list[int]:
    return [0, 1, *random.Random(3).sample(range(2, last - 1), min(12, max(last - 3, 0))), last - 1, last]


def on_disk(data: Path) -> int:
    """Bytes of events."""
    with closing(sqlite3.connect(data / "llmproxy.db")) as database:
        return int(database.execute("SELECT coalesce(sum(length(events)), 0) FROM tapes").fetchone()[0])


def check_every_place(client: Client, told: bytes) -> None:
    events = parsed(told)
    for place in some(len(events)):
        assert client.resumed(request(events), place) == (200, after(told, place))


# What left memory


def test_an_answer_larger_than_memory_keeps_continues_from_every_event() -> None:
    with running_gateway(config(SLOWER, rate=500)) as gateway:
        client = Client(gateway)
        told = client.told(client.thread())
        assert len(told) > 60_000
        check_every_place(client, told)


def test_a_reader_who_is_cut_again_and_again_while_it_grows_misses_nothing() -> None:
    chance = random.Random(5)
    with running_gateway(config(SLOWER, rate=500)) as gateway:
        client = Client(gateway)
        with client.asked(client.thread()) as response:
            seen = parsed(response.read(2000))
        id, there = request(seen), 0
        while seen[-1][1] != "done":
            there = chance.choice((len(seen), there))  # or as far as it was the time before
            with client.open("GET", f"/v1/requests/{id}/stream?from={there}") as response:
                assert response.status == 200
                seen = seen[:there] + parsed(response.read(chance.randint(100, 20_000)))
        assert [number for number, _, _ in seen] == list(range(1, len(seen) + 1))
        assert tokens(seen) == seen[-1][2]["response"]


def test_what_memory_let_go_of_in_time_continues_from_the_disk() -> None:
    with running_gateway(config(LET_GO)) as gateway:
        client = Client(gateway)
        with client.open("POST", "/chat/stream", {"message": "Hi", "model": "demo/hello"}) as response:
            outside = request(parsed(response.read()))
        assert client.refused(outside) == (409, "stream_gone", None), "memory has let go"
        check_every_place(client, client.told(client.thread(), max_tokens=200))


# Another process


def test_an_answer_of_before_the_restart_continues_byte_by_byte() -> None:
    with running_gateway(config()) as gateway:
        client = Client(gateway)
        told = client.told(client.thread(), max_tokens=200)
        gateway.stop()
        with restarted(gateway, config()) as again:
            check_every_place(again, told)


def test_an_answer_that_a_shutdown_stopped_says_so_afterwards() -> None:
    with running_gateway(config()) as gateway:
        client = Client(gateway)
        thread = client.thread()
        with client.asked(thread, "demo/slow") as response:
            first = response.read(500)
            gateway.process.terminate()
            told = first + response.read()
        assert gateway.process.wait(10) == 0
        with restarted(gateway, config()) as again:
            check_every_place(again, told)
            answer = again.call("GET", f"/threads/{thread}/messages")[1]["messages"][1]
    done = parsed(told)[-1][2]
    assert (done["stopped"], done["by"], answer["state"]) == (True, "drain", "stopped")
    assert done["closed_ms"] == answer["closed_ms"] >= 0


@pytest.mark.parametrize("told", [9_000, 30_000])
def test_after_a_kill_what_was_kept_is_there_and_its_last_event_says_that_it_was_cut(told: int) -> None:
    with running_gateway(config(SMALL, rate=300)) as gateway:
        client = Client(gateway)
        thread = client.thread()
        with client.asked(thread) as response:
            seen = response.read(told)
            gateway.process.kill()
            seen += response.read1(1_000_000)
        seen = seen[: seen.rindex(b"\n\n") + 2]
        gateway.process.wait()
        live, id = parsed(seen), request(parsed(seen))
        with restarted(gateway, config()) as again:
            status, kept = again.resumed(id)
            answer = again.call("GET", f"/threads/{thread}/messages")[1]["messages"][1]
            assert again.resumed(id) == (status, kept), "and again"
            halfway = again.resumed(id, 30)
            ahead = parsed(again.resumed(id, live[-1][0])[1])
    events = parsed(kept)
    done = events[-1][2]
    assert (status, events[-1][1], done["ok"], done["error"]["code"]) == (200, "done", False, "answer_lost")
    assert len(events) > told // 200, "a fourth of memory's room is the most that is not on disk"
    both = min(len(events) - 1, len(live))
    assert events[:both] == live[:both]
    assert [number for number, _, _ in events] == list(range(1, len(events) + 1))
    assert tokens(events) == done["response"] == answer["content"]
    assert (answer["state"], done["request_id"], done["message_id"]) == ("lost", id, answer["id"])
    assert halfway == (200, after(kept, 30))
    assert (ahead[-1][1], ahead[-1][0] > live[-1][0]) == ("done", True), "also to who had seen more than was kept"


def test_an_answer_killed_before_anything_of_it_was_kept_is_gone() -> None:
    with running_gateway(config()) as gateway:
        client = Client(gateway)
        with client.asked(client.thread(), "demo/slow") as response:
            id = request(parsed(response.read(400)))
            gateway.process.kill()
        gateway.process.wait()
        with restarted(gateway, config()) as again:
            assert again.refused(id) == (409, "stream_gone", None)


# Whose it is


def test_a_deleted_thread_takes_its_answers_along() -> None:
    with running_gateway(config(storage="tape_bytes = 100000")) as gateway:
        client = Client(gateway)
        hidden, purged = client.thread(), client.thread()
        ids = {thread: request(parsed(client.told(thread, max_tokens=20))) for thread in (hidden, purged)}
        client.call("DELETE", f"/threads/{hidden}")
        client.call("DELETE", f"/threads/{purged}?purge=1")
        for id in ids.values():
            assert client.resumed(id)[0] == 404
        gateway.stop()
        with restarted(gateway, config()) as again:
            for id in ids.values():
                assert again.refused(id)[:2] == (404, "request_not_found")
            again.call("PATCH", f"/threads/{hidden}", {"deleted": False})
            assert again.resumed(ids[hidden])[0] == 200, "a delete can be undone"


@pytest.mark.parametrize("limits", ["", LET_GO])
def test_another_key_finds_nothing_not_even_an_administrators(limits: str) -> None:
    with running_gateway(config(limits, keys=KEYS)) as gateway:
        a, b = Client(gateway), Client(gateway, "secret-b-of-some-length")
        id = request(parsed(a.told(a.thread(), max_tokens=20)))
        assert a.resumed(id)[0] == 200
        assert b.resumed(id) == b.resumed("nobodys-request")
        assert b.refused(id)[:2] == (404, "request_not_found")
        gateway.stop()
        with restarted(gateway, config(keys=KEYS)) as again:
            assert again.resumed(id)[0] == 200
            again.key = b.key
            assert again.refused(id)[:2] == (404, "request_not_found")


# Bounds


def test_no_more_is_kept_on_disk_than_the_config_allows() -> None:
    text = config(f"{LET_GO}\n{SMALL}", storage="tape_bytes = 20000")
    with running_gateway(text) as gateway:
        client = Client(gateway)
        thread = client.thread()
        first = parsed(client.told(thread, max_tokens=100))
        told = client.told(thread)
        assert client.refused(request(first)) == (409, "stream_gone", None), "the oldest went first"
        status, code, oldest = client.refused(request(parsed(told)))
        assert (status, code) == (409, "stream_gone")
        assert oldest is not None
        assert client.refused(request(parsed(told)), oldest - 2)[2] == oldest
        assert client.resumed(request(parsed(told)), oldest - 1) == (200, after(told, oldest - 1))
        gateway.stop()
        assert 0 < on_disk(gateway.folder / "data") <= 20_000 + 16_000


def test_nothing_is_kept_longer_than_the_config_allows() -> None:
    with running_gateway(config()) as gateway:
        client = Client(gateway)
        id = request(parsed(client.told(client.thread(), max_tokens=20)))
        gateway.stop()
        assert on_disk(gateway.folder / "data") > 0
        with restarted(gateway, config(storage="tape_hours = 0")) as again:
            assert again.refused(id) == (409, "stream_gone", None)
        assert on_disk(gateway.folder / "data") == 0


def test_the_config_may_keep_nothing_on_disk() -> None:
    with running_gateway(config(LET_GO, storage="tape_bytes = 0")) as gateway:
        client = Client(gateway)
        told = client.told(client.thread(), max_tokens=20)
        assert named(parsed(told), "done")[0]["ok"]
        assert client.refused(request(parsed(told))) == (409, "stream_gone", None)
        gateway.stop()
        assert on_disk(gateway.folder / "data") == 0
