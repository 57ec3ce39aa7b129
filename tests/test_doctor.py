"""What `llmproxy doctor` finds on a machine, each with its fix."""

from __future__ import annotations

import pathlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import trustme

from llmproxy.cli import main
from tests.gateway import free_port


@pytest.fixture(autouse=True)
def bare(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMPROXY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LLMPROXY_PORT", str(free_port()))


@contextmanager
def service(date: str = "", context: ssl.SSLContext | None = None) -> Iterator[int]:
    class Answers(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(404)
            if date:
                self.send_header("Date", date)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Quiet(HTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass

    with Quiet(("127.0.0.1", 0), Answers) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def doctor(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main(["doctor"])
    return code, capsys.readouterr().out


def provider(url: str) -> None:
    pathlib.Path("llmproxy.toml").write_text(f'[providers.x]\nadapter = "compatible"\nbase_url = "{url}"\n')


def test_where_all_is_well_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with service() as port:
        provider(f"http://127.0.0.1:{port}/v1")
        assert doctor(capsys) == (0, "No problem found: port, data folder, clock and providers are ok.\n")


def test_a_wrong_file_is_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    pathlib.Path("llmproxy.toml").write_text("[servr]\n")
    code, out = doctor(capsys)
    assert code == 1
    assert "servr" in out


def test_a_port_that_another_program_has(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with service() as port:
        monkeypatch.setenv("LLMPROXY_PORT", str(port))
        code, out = doctor(capsys)
    assert code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in out
    assert "LLMPROXY_PORT" in out


def test_a_damaged_database(capsys: pytest.CaptureFixture[str]) -> None:
    from llmproxy.store.sqlite.database import FILE

    folder = pathlib.Path("data")
    folder.mkdir(mode=0o700)
    (folder / FILE).write_bytes(b"this is no database" * 1000)
    code, out = doctor(capsys)
    assert code == 1
    assert "storage: " in out


def test_a_folder_that_others_may_write_in(capsys: pytest.CaptureFixture[str]) -> None:
    folder = pathlib.Path("data")
    folder.mkdir()
    folder.chmod(0o777)
    code, out = doctor(capsys)
    assert code == 1
    assert "chmod go-w" in out


def test_a_provider_that_nobody_listens_for(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    provider(f"http://127.0.0.1:{port}/v1")
    code, out = doctor(capsys)
    assert code == 1
    assert f"provider x: 127.0.0.1:{port} cannot be reached" in out


def test_a_proxy_that_nobody_listens_for(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    provider("https://llm.example/v1")
    assert f"127.0.0.1:{port} (a proxy) cannot be reached" in doctor(capsys)[1]


def test_a_name_that_no_name_server_knows(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **named: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    provider("https://llm.example/v1")
    code, out = doctor(capsys)
    assert code == 1
    assert "the name llm.example is not known here" in out
    assert "/etc/resolv.conf" in out


def test_a_certificate_that_nobody_here_trusts(capsys: pytest.CaptureFixture[str]) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with service(context=context) as port:
        provider(f"https://127.0.0.1:{port}/v1")
        code, out = doctor(capsys)
    assert code == 1
    assert "the certificate of 127.0.0.1 is not trusted" in out
    assert "ca_file" in out


def test_a_clock_that_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    with service(date="Mon, 01 Jan 2024 00:00:00 GMT") as port:
        provider(f"http://127.0.0.1:{port}/v1")
        code, out = doctor(capsys)
    assert code == 1
    assert "the clock of this machine is wrong" in out
