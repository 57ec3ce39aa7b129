"""Several processes behind one port: any of them knows every request, and they live and die together. On the real server."""

from __future__ import annotations

import http.client
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from llmproxy.server.process.workers import NoFolder, meeting_folder
from tests.gateway import Gateway, running_gateway
from tests.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc for who holds a connection")

CONFIG = """
[server]
workers = 2
drain_timeout = 5
[providers.demo]
adapter = "demo"
tokens_per_second = {pace}
"""
PATIENCE = 10.0  # seconds after which something that should happen is taken to have not


@dataclass
class Office:
    """A gateway with workers, and connections to the one or the other of them."""

    gateway: Gateway
    folder: Path  # where the workers meet

    @property
    def port(self) -> int:
        return int(self.gateway.url.rpartition(":")[2])

    @property
    def workers(self) -> set[int]:
        pid = self.gateway.process.pid
        try:
            return {int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
        except OSError:
            return set()

    def connected(self) -> tuple[http.client.HTTPConnection, int]:
        """A connection, and the worker who holds its other end."""
        made = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        made.request("GET", "/livez")
        assert made.getresponse().read()
        inode = _inode(self.port, made.sock.getsockname()[1])
        return made, next(pid for pid in self.workers if f"socket:[{inode}]" in _holds(pid))

    def to(self, *workers: int) -> http.client.HTTPConnection:
        """A connection to one of these workers; the kernel chooses, so it may take a few."""
        for _ in range(200):
            made, pid = self.connected()
            if pid in workers:
                return made
            made.close()
        raise AssertionError(f"no connection led to {workers}")

    def call(self, worker: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        with closing(self.to(worker)) as connection:
            response = _asked(connection, method, path, body, headers)
            return response.status, json.loads(response.read())

    @contextmanager
    def stream(self, worker: int, path: str, body: Any, id: str) -> Iterator[http.client.HTTPResponse]:
        """A stream from this worker, begun."""
        with closing(self.to(worker)) as connection:
            response = _asked(connection, "POST", path, body, {"X-Request-ID": id})
            assert response.status == 200
            assert response.readline()
            yield response


def _asked(
    connection: http.client.HTTPConnection, method: str, path: str, body: Any, headers: dict[str, str]
) -> http.client.HTTPResponse:
    data = json.dumps(body) if body is not None else None
    connection.request(method, path, data, {"Content-Type": "application/json", **headers})
    return connection.getresponse()


def _inode(server: int, client: int) -> str:
    """The server's end of this connection, as the kernel numbers it."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{server:04X}") and fields[2].endswith(f":{client:04X}"):
            return fields[9]
    raise AssertionError("no such connection")


def _holds(pid: int) -> set[str]:
    try:
        return {os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return set()


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def running(folder: Path, pace: int = 40) -> Iterator[Office]:
    with running_gateway(CONFIG.format(pace=pace), {"TMPDIR": str(folder)}) as gateway:
        office = Office(gateway, folder)
        until(lambda: len(list(folder.glob("llmproxy-*/*.sock"))) == 2, "both workers listen for each other")
        yield office


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with running(tmp_path_factory.mktemp("meet")) as office:
        yield office


def chat(model: str = "demo/slow") -> dict[str, Any]:
    return {"model": model, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}


CHAT, NATIVE = "/v1/chat/completions", "/chat/stream"


def test_every_worker_lists_every_request(office: Office) -> None:
    one, other = sorted(office.workers)
    with office.stream(one, CHAT, chat(), "listed-one"), office.stream(other, CHAT, chat(), "listed-two"):
        for worker in (one, other):
            _, told = office.call(worker, "GET", "/v1/requests")
            assert {"listed-one", "listed-two"} <= {each["id"] for each in told["data"]}


def test_any_worker_stops_a_request_and_says_so_again(office: Office) -> None:
    one, other = sorted(office.workers)
    with office.stream(one, CHAT, chat(), "stopped-one") as response:
        for worker in (other, other, one):
            status, told = office.call(worker, "POST", "/v1/requests/stopped-one/cancel")
            assert (status, told["state"], told["by"]) == (200, "cancelled", "api")
        rest = response.read()
    assert b"request_cancelled" in rest
    assert b"[DONE]" not in rest


def test_any_worker_goes_on_with_a_stream_from_where_it_was(office: Office) -> None:
    one, other = sorted(office.workers)
    asked = {"model": "demo/hello", "message": "Hi", "max_tokens": 12}
    with office.stream(one, NATIVE, asked, "resumed-one") as response, closing(office.to(other)) as connection:
        again = _asked(connection, "GET", "/v1/requests/resumed-one/stream", None, {"Last-Event-ID": "3"}).read()
        whole = b"id: 1\n" + response.read()
    assert b"event: done" in again
    assert again == whole[whole.index(b"id: 4\n") :]


def test_streams_of_several_workers_come_on_one_connection(office: Office) -> None:
    one, other = sorted(office.workers)
    asked = {"model": "demo/hello", "message": "Hi", "max_tokens": 12}
    with (
        office.stream(one, NATIVE, asked, "together-one") as first,
        office.stream(other, NATIVE, asked, "together-two") as second,
    ):
        follow = "/v1/requests/events?follow=together-one:3,together-two"
        with closing(office.to(other)) as connection:
            told = _asked(connection, "GET", follow, None, {}).read()
        alone = {"together-one": b"id: 1\n" + first.read(), "together-two": b"id: 1\n" + second.read()}
    for id, after in (("together-one", 3), ("together-two", 0)):
        mine = [block for block in told.split(b"\n\n") if block.startswith(b"id: %s:" % id.encode())]
        whole = alone[id][alone[id].index(b"id: %d\n" % (after + 1)) :].split(b"\n\n")[:-1]
        assert [block.replace(b"id: %s:" % id.encode(), b"id: ") for block in mine] == whole
    assert told.endswith(b"event: end\ndata: {}\n\n")


STOPS = {
    "requests": ("POST", "/v1/requests/{id}/cancel", None),
    "chat": ("POST", "/chat/cancel", {"request_id": "{id}"}),
    "threads": ("POST", "/threads/cancel/{id}", None),
}


def test_any_worker_has_the_flight_record_of_a_request(office: Office) -> None:
    one, other = sorted(office.workers)
    with office.stream(one, NATIVE, {"model": "demo/hello", "message": "Hi", "max_tokens": 3}, "traced-one") as answer:
        answer.read()
    told = [office.call(worker, "GET", "/v1/requests/traced-one/trace") for worker in (one, other)]
    assert told[0] == told[1]
    assert told[0][1]["attempts"][0]["state"] == "answered"


@pytest.mark.parametrize("route", STOPS)
@pytest.mark.parametrize("asked_of", ["the owner", "another worker"])
def test_every_stop_reaches_the_request_wherever_it_runs(office: Office, route: str, asked_of: str) -> None:
    method, path, body = STOPS[route]
    one, other = sorted(office.workers)
    id = f"stopped-{route}-{asked_of.replace(' ', '-')}"
    with office.stream(one, NATIVE, {"model": "demo/slow", "message": "Hi"}, id) as response:
        sent = {"request_id": id} if body else None
        status, _ = office.call(one if asked_of == "the owner" else other, method, path.format(id=id), sent)
        assert status == 200
        assert b'"stopped":true' in response.read()
    assert office.call(other, "GET", f"/v1/requests/{id}")[1]["state"] == "cancelled"


@pytest.mark.parametrize("route", STOPS)
def test_a_stop_reaches_both_of_two_requests_that_share_an_id(office: Office, route: str) -> None:
    method, path, body = STOPS[route]
    one, other = sorted(office.workers)
    id = f"doubled-{route}"
    asked = {"model": "demo/slow", "message": "Hi"}
    with office.stream(one, NATIVE, asked, id) as first, office.stream(other, NATIVE, asked, id) as second:
        status, _ = office.call(one, method, path.format(id=id), {"request_id": id} if body else None)
        assert status == 200
        assert b'"stopped":true' in first.read()
        assert b'"stopped":true' in second.read()


@pytest.mark.parametrize("everything", [False, True])
def test_a_thread_that_is_purged_stops_its_answer_wherever_it_grows(office: Office, everything: bool) -> None:
    one, other = sorted(office.workers)
    thread = office.call(one, "POST", "/threads", {})[1]["id"]
    id = f"purged-one-{everything}"
    path = f"/threads/{thread}/messages/stream"
    with office.stream(one, path, {"content": "Hi", "model": "demo/slow"}, id), closing(office.to(other)) as connection:
        purge = "/threads" if everything else f"/threads/{thread}?purge=1"
        assert _asked(connection, "DELETE", purge, None, {}).status == 204
        state = office.call(other, "GET", f"/v1/requests/{id}")[1]
    assert (state["state"], state["by"]) == ("cancelled", "thread_deleted")
    assert office.call(one, "GET", f"/threads/{thread}")[0] == 404


def test_a_reader_hears_of_the_death_of_the_worker_that_answers(tmp_path: Path) -> None:
    with running(tmp_path) as office:
        one, other = sorted(office.workers)
        asked = {"model": "demo/slow", "message": "Hi"}
        with office.stream(one, NATIVE, asked, "orphaned-one"), closing(office.to(other)) as connection:
            response = _asked(connection, "GET", "/v1/requests/orphaned-one/stream", None, {})
            begun = response.readline()
            os.kill(one, signal.SIGKILL)
            rest = begun + response.read()
    assert rest.count(b"HTTP/1.1") == 0, "a head is sent once"
    last = rest.rstrip().rpartition(b"\n\n")[2]
    assert last.startswith(b"event: done")
    assert b'"answer_lost"' in last


def test_what_no_worker_knows_is_not_found(office: Office) -> None:
    for worker in office.workers:
        status, told = office.call(worker, "POST", "/v1/requests/of-nobody/cancel")
        assert (status, told["error"]["code"]) == (404, "request_not_found")


def test_workers_meet_where_only_this_user_can(office: Office) -> None:
    (place,) = office.folder.glob("llmproxy-*")
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_nobody_else_passes_for_a_worker(tmp_path: Path) -> None:
    config = CONFIG.format(pace=40) + '[[server.keys]]\nname = "me"\nsecret = "a-secret-key"\n'
    with running_gateway(config, {"TMPDIR": str(tmp_path)}) as gateway:
        office = Office(gateway, tmp_path)
        claims = {"X-LLMProxy-Peer": "guessed", "X-LLMProxy-Peer-Caller": "me", "X-LLMProxy-Peer-Admin": "1"}
        for worker in office.workers:
            assert office.call(worker, "GET", "/v1/requests", None, **claims)[0] == 401


def test_a_worker_that_crashes_is_replaced(tmp_path: Path) -> None:
    with running(tmp_path) as office:
        one, other = sorted(office.workers)
        with office.stream(other, CHAT, chat(), "survives-one") as response:
            os.kill(one, signal.SIGKILL)
            fresh: int = until(lambda: next(iter(office.workers - {one, other}), None), "another took its place")
            assert response.readline()
            until(lambda: _knows(office, fresh, "survives-one"), "the new worker and the old one know each other")
        assert [event["worker"] for event in office.gateway.events("worker_ended")] == [0]
        assert office.gateway.stop() == 0


def _knows(office: Office, worker: int, id: str) -> bool:
    try:
        return id in {one["id"] for one in office.call(worker, "GET", "/v1/requests")[1]["data"]}
    except (OSError, StopIteration, AssertionError):
        return False  # it is only just starting


def test_told_to_stop_they_finish_what_they_began_whoever_else_was_told(tmp_path: Path) -> None:
    """A terminal and systemd signal the workers as well as their supervisor, who tells them again."""
    with running(tmp_path, pace=60) as office:
        workers = office.workers
        one, other = sorted(workers)
        with (
            office.stream(one, CHAT, chat("demo/hello"), "drains-one") as response,
            office.stream(other, CHAT, chat("demo/hello"), "drains-two") as second,
        ):
            os.kill(one, signal.SIGTERM)
            until(lambda: office.gateway.events("draining"), "the one worker drains")
            office.gateway.process.terminate()
            until(lambda: len(office.gateway.events("draining")) >= 2, "the other one drains")
            assert response.read().endswith(b"data: [DONE]\n\n")
            assert second.read().endswith(b"data: [DONE]\n\n")
        assert office.gateway.process.wait(PATIENCE) == 0
        assert not any(map(_lives, workers))
        assert list(tmp_path.glob("llmproxy-*")) == []


def test_told_to_stop_twice_they_end_at_once(tmp_path: Path) -> None:
    with running(tmp_path) as office:
        one, other = sorted(office.workers)
        with (
            office.stream(one, CHAT, chat("demo/long"), "cut-one") as response,
            office.stream(other, CHAT, chat("demo/long"), "cut-two") as second,
        ):
            office.gateway.process.terminate()
            until(lambda: len(office.gateway.events("draining")) == 2, "both drain")
            office.gateway.process.terminate()
            assert b"server_shutting_down" in response.read()
            assert b"server_shutting_down" in second.read()
        assert office.gateway.process.wait(PATIENCE) == 1


STARTING = """
import os, signal
from llmproxy.server.process.workers import Supervisor

def work(place):
    if place.number == 0:
        os.kill(os.getppid(), signal.SIGTERM)  # while the others are still being started
    signal.pause()
    return 0

raise SystemExit(Supervisor(16, work).run())
"""


def test_told_to_stop_while_they_start_none_is_forgotten() -> None:
    with subprocess.Popen([sys.executable, "-c", STARTING], start_new_session=True) as process:
        try:
            assert process.wait(PATIENCE) == 0
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


ENDING = """
import os, signal
from llmproxy.server.process.workers import Supervisor

class Last:
    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGTERM):
        kill(pid, number)  # Python has just removed its signal handlers

last = Last()
raise SystemExit(Supervisor(1, lambda place: os.kill(os.getppid(), signal.SIGTERM) or signal.pause()).run())
"""


def test_a_further_signal_while_the_supervisor_ends_does_not_replace_its_exit_code() -> None:
    assert subprocess.run([sys.executable, "-c", ENDING], timeout=60, check=False).returncode == 0


def test_when_the_supervisor_is_killed_no_worker_stays(tmp_path: Path) -> None:
    with running(tmp_path) as office:
        workers = office.workers
        office.gateway.process.kill()
        until(lambda: not any(map(_lives, workers)), "the workers ended")


def test_the_workers_meet_in_another_folder_where_the_temporary_one_has_too_long_a_path(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 90)
    long.mkdir()
    with running_gateway(CONFIG.format(pace=40), {"TMPDIR": str(long)}) as gateway:
        office = Office(gateway, gateway.folder / "data")
        until(lambda: len(list(office.folder.glob("llmproxy-*/*.sock"))) == 2, "both workers listen for each other")


def test_no_folder_at_all_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setattr("tempfile.tempdir", str(blocked))
    with pytest.raises(NoFolder, match="set TMPDIR to a short, writable one"):
        meeting_folder(str(blocked / "data"))
