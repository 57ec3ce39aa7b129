"""The proxies of the environment lead to every provider that is elsewhere, and never to this machine."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import orjson
import pytest

from llmproxy.commands.run import environment
from llmproxy.config import Config
from llmproxy.testing import completion
from tests.gateway import running_gateway
from tests.server.asking import ask


class Web(http.server.BaseHTTPRequestHandler):
    """A provider, and a proxy that answers in the name of every provider. `asked` are the targets that it saw."""

    asked: list[str]

    def do_POST(self) -> None:
        self.asked.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        body = orjson.dumps(completion("there"))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self) -> None:
        self.asked.append(self.path)
        self.send_error(403)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def web() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Web,), {"asked": asked}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()


QUESTION = {"model": "p/m", "messages": [{"role": "user", "content": "hi"}]}


def provider(base_url: str, more: str = "") -> str:
    return f'[limits]\nretries = 0\n[providers.p]\nadapter = "compatible"\nbase_url = "{base_url}"\nlist_models = false\n{more}\n'


def test_a_provider_elsewhere_is_asked_through_the_proxy(web: tuple[str, list[str]]) -> None:
    place, asked = web
    config = provider("http://llm.corp.invalid/v1", 'api_key = "k"')
    with running_gateway(config, {"HTTP_PROXY": f"http://{place}"}) as gateway:
        assert ask(gateway.url, "/v1/chat/completions", method="POST", body=QUESTION).status == 200
    assert asked == ["http://llm.corp.invalid/v1/chat/completions"]


def test_a_secure_one_through_a_tunnel(web: tuple[str, list[str]]) -> None:
    place, asked = web
    config = provider("https://llm.corp.invalid/v1", 'api_key = "k"')
    with running_gateway(config, {"ALL_PROXY": place}) as gateway:
        assert ask(gateway.url, "/v1/chat/completions", method="POST", body=QUESTION).status == 502
    assert asked == ["llm.corp.invalid:443"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_provider_on_this_machine_is_asked_straight(web: tuple[str, list[str]], host: str) -> None:
    place, asked = web
    config = provider(f"http://{place.replace('127.0.0.1', host)}/v1")
    with running_gateway(config, {"HTTP_PROXY": "http://127.0.0.1:1", "ALL_PROXY": "socks5://127.0.0.1:1"}) as gateway:
        assert ask(gateway.url, "/v1/chat/completions", method="POST", body=QUESTION).status == 200
    assert asked == ["/v1/chat/completions"]


@pytest.mark.parametrize(
    ("environ", "exempt"),
    [
        ({"HTTP_PROXY": "http://x:1"}, "127.0.0.1,localhost"),
        ({"https_proxy": "http://x:1", "NO_PROXY": "corp.example"}, "corp.example,127.0.0.1,localhost"),
        ({}, None),
    ],
)
def test_a_command_that_is_run_reaches_its_gateway_without_a_proxy(environ: dict[str, str], exempt: str | None) -> None:
    made = environment(environ, Config(), "http://127.0.0.1:1", "secret")
    assert (made.get("NO_PROXY"), made.get("no_proxy")) == (exempt, exempt)
