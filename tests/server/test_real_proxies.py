"""The gateway behind nginx, Caddy and HAProxy with the configurations of docs/deployment.md, where they are installed."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.docs.markdown import ROOT
from tests.gateway import Gateway, free_port, running_gateway
from tests.server.asking import Said, ask
from tests.waiting import until

KEY = {"Authorization": "Bearer a-clients-key"}
CONFIG = """
[server]
keys = [{ name = "alice", secret = "a-clients-key", admin = true }]
trusted_proxies = ["127.0.0.1"]
[providers.demo]
options = { tokens_per_second = 40 }
"""
OPEN = '[server]\nallowed_hosts = ["gw.example"]\n'
PLAIN = ["nginx plain", "nginx full", "caddy plain", "haproxy plain"]
PATHS = ["nginx path", "caddy path"]
PROGRAMS = {"nginx": "nginx", "caddy": "caddy", "haproxy": "haproxy"}


@dataclass(frozen=True, slots=True)
class Front:
    """The proxy in front, and the gateway behind it."""

    url: str
    gateway: Gateway

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def own_page(self) -> dict[str, str]:
        """What a browser sends for our page at http://localhost."""
        return {
            "Host": f"localhost:{self.port}",
            "Origin": f"http://localhost:{self.port}",
            "Sec-Fetch-Site": "same-origin",
        }


def block(name: str) -> str:
    """The configuration in the document."""
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    found = re.search(rf"<!-- try: {name} -->\n```\w+\n(.*?)```", text, re.DOTALL)
    assert found is not None, name
    return found[1]


def command(name: str, written: str, folder: Path) -> list[str]:
    """How the proxy is started in the foreground, with everything that it writes in the folder."""
    program = name.partition(" ")[0]
    file = folder / "config"
    if program == "nginx":
        places = "".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;" if os.geteuid() == 0 else ""
        head = f"daemon off; {user} pid {folder}/pid; error_log stderr; events {{}}"
        file.write_text(f"{head}\nhttp {{ access_log off; {places}\n{written}}}")
        return ["nginx", "-p", str(folder), "-c", str(file)]
    if program == "caddy":
        file.write_text("{\n\tadmin off\n\tauto_https off\n}\n" + written)
        return ["caddy", "run", "--adapter", "caddyfile", "--config", str(file)]
    file.write_text(written)
    return ["haproxy", "-db", "-f", str(file)]


@contextmanager
def front(name: str, folder: Path, config: str = CONFIG) -> Iterator[Front]:
    program = name.partition(" ")[0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    port = free_port()
    with running_gateway(config) as gateway:
        written = block(name).replace("127.0.0.1:8811", gateway.url.removeprefix("http://"))
        written = written.replace("listen 8080", f"listen 127.0.0.1:{port}").replace(":8080", f":{port}", 1)
        written = written.replace("/etc/nginx/llmproxy.htpasswd", str(folder / "htpasswd"))
        (folder / "htpasswd").write_text("me:{PLAIN}pass\n")
        with (folder / "output").open("wb") as output:
            environ = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
            process = subprocess.Popen(command(name, written, folder), stdout=output, stderr=output, env=environ)
        try:
            eventually(lambda: process.poll() is not None or answers(port), (folder / "output").read_text)
            yield Front(f"http://127.0.0.1:{port}", gateway)
        finally:
            process.terminate()
            process.wait(10)


def answers(port: int) -> bool:
    """Whether the proxy has found the gateway."""
    try:
        return ask(f"http://127.0.0.1:{port}", "/livez").status in (200, 401, 404)
    except OSError:
        return False


def eventually(look: Callable[[], Any], why: Callable[[], str] = str) -> Any:
    try:
        return until(look)
    except AssertionError:
        raise AssertionError(why()) from None


def question(model: str, *, stream: bool = False, **more: object) -> Mapping[str, object]:
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": "Hi"}], **more}


@pytest.mark.parametrize("name", PLAIN)
def test_the_page_and_the_api_work_and_a_foreign_page_does_not(name: str, tmp_path: Path) -> None:
    with front(name, tmp_path) as there:
        page = ask(there.url, "/", there.own_page)
        assert page.status == 200
        assert ask(there.url, "/v1/models", KEY).status == 200
        made = ask(there.url, "/threads", {**KEY, **there.own_page}, method="POST", body={"title": "t"})
        assert made.status == 201
        foreign = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
        refused = ask(there.url, "/threads", {**KEY, **foreign}, method="POST", body={"title": "t"})
        assert (refused.status, refused.code) == (403, "forbidden_origin")
        assert ask(there.url, "/readyz").json["status"] == "ok"


@pytest.mark.parametrize("name", PLAIN)
def test_a_stream_comes_as_it_grows_and_ends_at_the_provider_when_its_reader_leaves(name: str, tmp_path: Path) -> None:
    with front(name, tmp_path) as there:
        connection = http.client.HTTPConnection("127.0.0.1", there.port, timeout=10)
        body = repr(question("demo/long", stream=True)).replace("'", '"').replace("True", "true")
        headers = {**KEY, "Content-Type": "application/json", "X-Request-ID": "through-a-proxy"}
        connection.request("POST", "/v1/chat/completions", body, headers)
        answer = connection.getresponse()
        assert answer.readline().startswith(b"data: {")
        assert state(there.gateway) == "running", "its first event is there long before its last"
        answer.close()
        connection.close()
        eventually(lambda: state(there.gateway) == "cancelled")


def state(gateway: Gateway) -> str:
    return str(ask(gateway.url, "/v1/requests/through-a-proxy", KEY).json["state"])


@pytest.mark.parametrize("name", ["nginx full", "caddy plain", "haproxy plain"])
def test_the_log_names_the_client_and_large_questions_pass(name: str, tmp_path: Path) -> None:
    with front(name, tmp_path) as there:
        with socket.create_connection(("127.0.0.1", there.port), 10, ("127.0.0.2", 0)) as wire:
            wire.sendall(b"GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert b"401" in wire.recv(1000)
        refused = eventually(lambda: [one for one in there.gateway.events("refused") if one["path"] == "/v1/nothing"])
        assert refused[0]["address"] == "127.0.0.2"
        large = question("demo/hello", user="x" * 20_000_000)
        assert ask(there.url, "/v1/chat/completions", KEY, method="POST", body=large).status == 200


@pytest.mark.parametrize("name", PATHS)
def test_it_may_stand_under_a_path(name: str, tmp_path: Path) -> None:
    with front(name, tmp_path) as there:
        assert ask(there.url, "/llm/v1/models", KEY).status == 200
        assert ask(there.url, "/llm").headers["Location"].endswith("/llm/")
        made = ask(there.url, "/llm/threads", {**KEY, **there.own_page}, method="POST", body={"title": "t"})
        assert made.status == 201


def test_with_a_password_in_front(tmp_path: Path) -> None:
    basic = {"Authorization": "Basic bWU6cGFzcw=="}
    page = {"Host": "gw.example", "Origin": "https://gw.example", "Sec-Fetch-Site": "same-origin"}

    def made(there: Front, headers: Mapping[str, str]) -> Said:
        return ask(there.url, "/threads", headers, method="POST", body={"title": "t"})

    with front("nginx password", tmp_path, OPEN) as there:
        assert made(there, page).status == 401
        assert made(there, {**basic, **page}).status == 201
        assert made(there, {**basic, **page, "Origin": "https://evil.example"}).status == 403
        assert made(there, {**basic, "Host": "evil.example", "Origin": "https://evil.example"}).status == 421
    with front("nginx password", tmp_path) as there:
        assert ask(there.url, "/v1/models", basic).status == 401
        assert ask(there.url, "/v1/models", {**basic, "X-Api-Key": "a-clients-key"}).status == 200
