"""A changed file: every setting of it holds from then on, or the log says that it waits for a restart."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import sqlite3
import time
from contextlib import closing

import pytest

from llmproxy.config import Config, Server
from llmproxy.server.process.reload import NEEDS_RESTART, waiting_settings
from tests.gateway import Gateway, running_gateway
from tests.server.asking import ask
from tests.waiting import until

QUICK = "[providers.demo]\noptions = { tokens_per_second = 4000 }\n"
HELLO = {"model": "demo/hello", "messages": [{"role": "user", "content": "hi"}]}
# What holds at once: read from the current configuration at each use, or set in Reload.
SERVER = {
    "keys", "allowed_hosts", "allowed_origins", "trusted_proxies",
    "max_body", "max_connections", "max_in_flight", "max_lag", "max_memory",
    "header_timeout", "body_timeout", "drain_delay", "drain_timeout",
}  # fmt: skip


def reloaded(gateway: Gateway, text: str) -> None:
    """The new file has been taken up, or refused."""
    before = outcomes(gateway)
    (gateway.folder / "llmproxy.toml").write_text(text + QUICK)
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: outcomes(gateway) > before)


def outcomes(gateway: Gateway) -> int:
    return len(gateway.events("config_reloaded")) + len(gateway.events("config_rejected"))


def chat(gateway: Gateway, key: str = "") -> int:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return ask(gateway.url, "/v1/chat/completions", headers, method="POST", body=HELLO).status


def test_it_is_known_of_every_setting_whether_it_holds_at_once() -> None:
    assert {field.name for field in dataclasses.fields(Server)} - set(NEEDS_RESTART) == SERVER, (
        "a new setting of [server]: see that Reload applies it, or add it to NEEDS_RESTART"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("host", '"127.0.0.2"'), ("workers", "2"), ("loop", '"asyncio"'), ("page", "false"), ("discover", "false")],
)
def test_what_waits_for_a_restart_is_said(name: str, value: str) -> None:
    with running_gateway(environment={"LLMPROXY_DISCOVER": ""}) as gateway:
        reloaded(gateway, f"[server]\n{name} = {value}\n")
        assert [event["settings"] for event in gateway.events("config_needs_restart")] == [[f"server.{name}"]]


def test_another_port_waits_too_but_any_port_is_the_one_that_it_has() -> None:
    began = Config()
    assert waiting_settings(began, Config(server=Server(port=9000))) == ["server.port"]
    assert waiting_settings(began, Config(server=Server(port=0))) == []


def test_what_holds_at_once_is_not_said_to_wait() -> None:
    with running_gateway(QUICK) as gateway:
        reloaded(gateway, "[server]\nmax_body = 2048\n[limits]\nremembered = 3\n[logs]\nlevel = 'debug'\n")
        assert gateway.events("config_needs_restart") == []


def test_the_size_of_bodies_and_the_number_of_remembered_requests_hold_at_once() -> None:
    with running_gateway(QUICK) as gateway:
        assert [chat(gateway) for _ in range(3)] == [200] * 3
        reloaded(gateway, "[server]\nmax_body = 1024\n[limits]\nremembered = 1\n")
        large = {**HELLO, "user": "x" * 2000}
        assert ask(gateway.url, "/v1/chat/completions", method="POST", body=large).status == 413
        reloaded(gateway, "[server]\nmax_body = 5000000\n[limits]\nremembered = 1\n")
        assert (
            ask(gateway.url, "/v1/chat/completions", method="POST", body={**HELLO, "user": "x" * 2000000}).status == 200
        )
        recent = ask(gateway.url, "/v1/requests").json["recent"]
        assert [one["status"] for one in recent if "refused" not in one] == [200]


def test_the_level_of_the_log_holds_at_once() -> None:
    with running_gateway(QUICK) as gateway:
        chat(gateway)
        until(lambda: len(gateway.events("request")) == 1)
        reloaded(gateway, "[logs]\nlevel = 'info'\n")
        (gateway.folder / "llmproxy.toml").write_text("[logs]\nlevel = 'error'\n" + QUICK)
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: silent(gateway))
        reloaded(gateway, "[logs]\nlevel = 'info'\n")
        before = len(gateway.events("request"))
        chat(gateway)
        until(lambda: len(gateway.events("request")) == before + 1)


def silent(gateway: Gateway) -> bool:
    """Whether a request leaves no line."""
    before = len(gateway.events("request"))
    chat(gateway)
    time.sleep(0.2)  # longer than lines wait for company
    return len(gateway.events("request")) == before


def test_the_time_for_a_head_holds_at_once() -> None:
    with running_gateway("[server]\nheader_timeout = 100\n") as gateway:
        reloaded(gateway, "[server]\nheader_timeout = 0.1\n")
        with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2])), timeout=10) as half:
            half.sendall(b"GET /livez HTTP/1.1\r\n")
            assert half.recv(1) == b""


def test_storage_that_is_switched_off_stores_nothing_from_then_on() -> None:
    with running_gateway(QUICK) as gateway:
        assert ask(gateway.url, "/threads", method="POST", body={"title": "kept"}).status == 201
        assert chat(gateway) == 200
        until(lambda: rows(gateway) == 1)
        reloaded(gateway, "[storage]\nenabled = false\n")
        before = content(gateway, "data")
        assert ask(gateway.url, "/threads", method="POST", body={"title": "gone"}).status == 201
        assert chat(gateway) == 200
        assert ask(gateway.url, "/api/info").json["data_dir"] is None
        assert ask(gateway.url, "/readyz").json["storage"] == "off"
        time.sleep(0.3)  # longer than rows wait for company
        assert content(gateway, "data") == before
        reloaded(gateway, "")
        titles = [thread["title"] for thread in ask(gateway.url, "/threads").json["threads"]]
        assert titles == ["kept"]
        assert gateway.events("config_needs_restart") == []
        assert gateway.stop() == 0


def test_another_folder_holds_at_once() -> None:
    with running_gateway(environment={"LLMPROXY_DATA_DIR": ""}) as gateway:
        reloaded(gateway, '[storage]\ndir = "one"\n')
        assert ask(gateway.url, "/threads", method="POST", body={"title": "one"}).status == 201
        reloaded(gateway, '[storage]\ndir = "two"\n')
        assert ask(gateway.url, "/threads", method="POST", body={"title": "two"}).status == 201
        assert [one["title"] for one in ask(gateway.url, "/threads").json["threads"]] == ["two"]
        reloaded(gateway, '[storage]\ndir = "one"\n')
        assert [one["title"] for one in ask(gateway.url, "/threads").json["threads"]] == ["one"]


def content(gateway: Gateway, folder: str) -> list[tuple[str, bytes]]:
    """What the files say; the index of the journal (-shm) changes with every reader."""
    files = [path for path in (gateway.folder / folder).iterdir() if path.suffix in (".db", ".db-wal")]
    return sorted((path.name, path.read_bytes()) for path in files)


def rows(gateway: Gateway) -> int:
    """Of the ledger, closed ones."""
    with closing(sqlite3.connect(gateway.folder / "data" / "llmproxy.db")) as database:
        return int(database.execute("SELECT count(*) FROM ledger WHERE state <> 'open'").fetchone()[0])


def test_a_file_that_is_gone_changes_nothing() -> None:
    with running_gateway('[server]\nkeys = ["a-key-of-a-client"]\n') as gateway:
        assert (chat(gateway), chat(gateway, "a-key-of-a-client")) == (401, 200)
        (gateway.folder / "llmproxy.toml").unlink()
        until(lambda: gateway.events("config_rejected"))
        assert (chat(gateway), chat(gateway, "a-key-of-a-client")) == (401, 200)
        assert "No such file" in gateway.events("config_rejected")[0]["reason"]


def test_a_file_that_is_replaced_by_one_with_the_same_time_is_noticed() -> None:
    with running_gateway(QUICK) as gateway:
        file = gateway.folder / "llmproxy.toml"
        (gateway.folder / "new").write_text('[server]\nkeys = ["a-key-of-a-client"]\n')
        os.utime(gateway.folder / "new", ns=(file.stat().st_mtime_ns, file.stat().st_mtime_ns))
        os.replace(gateway.folder / "new", file)
        until(lambda: chat(gateway) == 401)


def test_the_last_key_cannot_be_taken_away_while_it_listens_beyond_loopback() -> None:
    config = '[server]\nhost = "0.0.0.0"\nkeys = ["a-key-of-a-client"]\n'
    with running_gateway(config) as gateway:
        reloaded(gateway, '[server]\nhost = "127.0.0.1"\n')
        assert "refusing to listen on 0.0.0.0" in gateway.events("config_rejected")[0]["reason"]
        assert chat(gateway) == 401
