"""A gateway that leads to itself: refused at the start where it can be seen, and told once where it cannot."""

from __future__ import annotations

import pathlib
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from llmproxy.config import ConfigError, load
from llmproxy.core import hops
from tests.gateway import running_gateway
from tests.server.asking import ask

OWN = [
    ("127.0.0.1", "http://127.0.0.1:8811/v1"),
    ("127.0.0.1", "http://localhost:8811"),
    ("127.0.0.1", "http://localhost.:8811"),
    ("127.0.0.1", "http://me.localhost:8811"),
    ("127.0.0.1", "http://LOCALHOST:8811"),
    ("127.0.0.1", "http://127.1:8811"),
    ("127.0.0.1", "http://0x7f000001:8811"),
    ("127.0.0.1", "http://[::ffff:127.0.0.1]:8811"),
    ("127.0.0.1", "http://0.0.0.0:8811"),
    ("127.0.0.1", ":8811"),
    ("localhost", "http://[::1]:8811"),
    ("::1", "http://[::1]:8811"),
    ("0.0.0.0", "http://127.0.0.2:8811"),
    ("0.0.0.0", f"http://{socket.gethostname()}:8811"),
    ("::", "http://localhost:8811"),
    ("", "http://127.0.0.1:8811"),
    ("gw.example", "http://gw.example:8811/v1"),
]
ELSEWHERE = [
    ("127.0.0.1", "http://127.0.0.1:8812/v1"),
    ("127.0.0.1", "http://127.0.0.2:8811/v1"),
    ("127.0.0.1", "http://gpu:8811/v1"),
    ("127.0.0.1", "http://localhost"),
    ("0.0.0.0", "http://192.0.2.1:8811/v1"),
]


@pytest.mark.parametrize(("host", "url"), OWN)
def test_the_gateways_own_address_is_no_provider(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, host: str, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"provider openai: .* is this gateway's own address") as e:
        load(
            environ={"OPENAI_BASE_URL": url, "LLMPROXY_KEY": "k", "OPENAI_API_KEY": "unused"}, overrides={"host": host}
        )
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(("host", "url"), ELSEWHERE)
def test_a_server_elsewhere_is_one(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, host: str, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"OPENAI_BASE_URL": url, "LLMPROXY_KEY": "k", "OPENAI_API_KEY": "unused"}
    assert load(environ=environ, overrides={"host": host}).providers[0].base_url == url


def test_the_port_of_the_command_line_counts(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"OPENAI_BASE_URL": "http://127.0.0.1:9000/v1"}
    assert load(environ=environ).providers
    with pytest.raises(ConfigError, match="own address"):
        load(environ=environ, overrides={"port": 9000})


@contextmanager
def relay() -> Iterator[tuple[int, queue.Queue[int]]]:
    """Another address that leads to the port that is put into the queue, as a balancer's does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        leads_to: queue.Queue[int] = queue.Queue()

        def accept() -> None:
            with suppress(OSError):
                port = leads_to.get()
                while True:
                    here, _ = listening.accept()
                    there = socket.create_connection(("127.0.0.1", port))
                    for one, other in ((here, there), (there, here)):
                        threading.Thread(target=copy, args=(one, other), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1], leads_to


def copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


ALIASED = """
[aliases]
"gpt-4o-mini" = "openai/gpt-4o-mini"
[providers.openai]
base_url = "http://127.0.0.1:{port}/v1"
breaker = {{ failures = 100 }}
"""


@pytest.mark.parametrize("stream", [False, True])
def test_a_circle_by_way_of_another_address_is_told_after_one_round(stream: bool) -> None:
    with relay() as (port, leads_to), running_gateway(ALIASED.format(port=port)) as gateway:
        leads_to.put(int(gateway.url.rpartition(":")[2]))
        question = {"model": "gpt-4o-mini", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
        said = ask(gateway.url, "/v1/chat/completions", method="POST", body=question)
        assert (said.status, said.code) == (508, "loop_detected")
        assert said.headers["x-should-retry"] == "false"
        assert "Request loop" in said.json["error"]["message"]
        assert said.headers["X-LLMProxy-Attempts"] == "1"
        recent = ask(gateway.url, "/v1/requests").json["recent"]
        paths = [one.get("refused", {}).get("path") for one in recent]
        assert (paths.count(None), paths.count("/v1/chat/completions")) == (1, 1)


def test_the_list_of_models_does_not_grow_from_round_to_round() -> None:
    with relay() as (port, leads_to), running_gateway(ALIASED.format(port=port)) as gateway:
        leads_to.put(int(gateway.url.rpartition(":")[2]))
        for _ in range(3):
            names = [one["id"] for one in ask(gateway.url, "/v1/models").json["data"]]
        assert not [name for name in names if name.startswith("openai/demo/")]


def test_a_row_of_gateways_may_be_long_but_not_endless() -> None:
    other = "0123456789ab"
    with running_gateway() as gateway:
        question = {"model": "demo/hello", "messages": [{"role": "user", "content": "hi"}]}

        def status(passed: str) -> int:
            headers = {hops.HEADER: passed}
            return ask(gateway.url, "/v1/chat/completions", headers, method="POST", body=question).status

        assert status(", ".join([other] * 7)) == 200
        assert status(",".join([other] * 8)) == 508
        assert status("made, up") == 200
