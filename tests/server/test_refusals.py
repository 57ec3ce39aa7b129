"""What is refused before it becomes a request leaves a line in the log, a count and an entry for administrators."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from llmproxy.observe.log import log
from llmproxy.observe.refusals import Refusal, Refusals
from tests.gateway import Gateway, running_gateway
from tests.server.asking import ask
from tests.waiting import until

ADMIN, CLIENT = {"Authorization": "Bearer an-admins-key"}, {"Authorization": "Bearer a-clients-key"}
CONFIG = """
[server]
trusted_proxies = ["127.0.0.1"]
[[server.keys]]
name = "root"
secret = "an-admins-key"
admin = true
[[server.keys]]
name = "alice"
secret = "a-clients-key"
[logs]
level = "debug"
"""
HELLO = {"model": "demo/hello", "messages": [{"role": "user", "content": "hi"}]}
CHAT = "/v1/chat/completions"
REFUSED: list[tuple[str, dict[str, Any], int, str, str]] = [
    ("no key", {"body": HELLO}, 401, "invalid_api_key", ""),
    ("a wrong key", {"body": HELLO, "headers": {"X-Api-Key": "wrong"}}, 401, "invalid_api_key", ""),
    ("no such path", {"path": "/chat/completions", "body": HELLO, "headers": CLIENT}, 404, "unknown_url", "alice"),
    ("no such model", {"body": {**HELLO, "model": "no/such"}, "headers": CLIENT}, 404, "model_not_found", "alice"),
    ("a wrong type", {"body": {**HELLO, "stream": "true"}, "headers": CLIENT}, 400, "invalid_type", "alice"),
    ("no JSON", {"body": b"{", "headers": CLIENT}, 400, "invalid_json", "alice"),
    ("a foreign page", {"body": HELLO, "headers": {"Origin": "http://evil.example"}}, 403, "forbidden_origin", ""),
    (
        "a form",
        {"body": b"a=b", "headers": {**CLIENT, "Content-Type": "text/plain"}},
        415,
        "unsupported_media_type",
        "alice",
    ),
]


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway(CONFIG) as one:
        yield one


def refuse(gateway: Gateway, headers: dict[str, str] | None = None, **what: Any) -> tuple[int, str, str]:
    """Status, code and id."""
    said = ask(gateway.url, what.get("path", CHAT), headers, method="POST", body=what.get("body"))
    return said.status, said.code, said.headers["X-Request-ID"]


def counted(gateway: Gateway, status: int, code: str) -> float:
    text = ask(gateway.url, "/metrics", ADMIN).body.decode()
    found = re.search(rf'^llmproxy_refused_total\{{code="{code}",status="{status}"\}} (\S+)', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize(("name", "what", "status", "code", "owner"), REFUSED, ids=[name for name, *_ in REFUSED])
def test_a_refusal_is_logged_counted_and_listed(
    gateway: Gateway, name: str, what: dict[str, Any], status: int, code: str, owner: str
) -> None:
    before = counted(gateway, status, code)
    headers = {**what.get("headers", {}), "X-Forwarded-For": "203.0.113.9"}
    got, told, id = refuse(gateway, headers, body=what["body"], path=what.get("path", CHAT))
    assert (got, told) == (status, code)
    assert counted(gateway, status, code) == before + 1
    line = until(lambda: [event for event in gateway.events("refused") if event.get("id") == id])[0]
    expected = {
        "address": "203.0.113.9",
        "method": "POST",
        "path": what.get("path", CHAT),
        "status": status,
        "code": code,
    }
    assert expected.items() <= line.items()
    assert line.get("owner", "") == owner
    because = until(lambda: [event for event in gateway.events("refused_because") if event.get("id") == id])[0]
    entry = ask(gateway.url, "/v1/requests", ADMIN).json["recent"][0]
    assert (entry["id"], entry["state"], entry["status"], entry["code"]) == (id, "failed", status, code)
    assert entry["refused"]["message"] == because["message"]
    assert "a-clients-key" not in gateway.output
    assert "wrong" not in str(line) + str(because)


def test_only_an_administrator_sees_them(gateway: Gateway) -> None:
    refuse(gateway, CLIENT, body=b"{")
    assert ask(gateway.url, "/v1/requests", CLIENT).json["recent"] == []


def test_entries_have_the_members_of_every_request(gateway: Gateway) -> None:
    assert ask(gateway.url, CHAT, CLIENT, method="POST", body=HELLO).status == 200
    refuse(gateway, CLIENT, body=b"{")
    refused, answered = ask(gateway.url, "/v1/requests", ADMIN).json["recent"][:2]
    assert set(refused) - {"refused"} == set(answered)


def test_a_request_that_had_a_task_is_not_told_twice(gateway: Gateway) -> None:
    body = {**HELLO, "model": "demo/no-such-model-of-the-demo"}
    said = ask(gateway.url, CHAT, {**CLIENT, "X-Request-ID": "with-a-task"}, method="POST", body=body)
    assert said.status == 404
    until(lambda: [one for one in gateway.events("request") if one["id"] == "with-a-task"])
    assert not [one for one in gateway.events("refused") if one.get("id") == "with-a-task"]


def test_what_is_no_http_is_told_too(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2])), timeout=10) as wire:
        wire.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")  # TLS, spoken to a plain port
        assert b"400" in wire.recv(100)
    line = until(lambda: [event for event in gateway.events("refused") if event["code"] == "invalid_http"])[0]
    assert (line["status"], line["address"]) == (400, "127.0.0.1")


def test_a_scanner_does_not_fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(log, "info", lambda event, **facts: lines.append(facts))
    monkeypatch.setattr(log, "debug", lambda event, **facts: None)
    now = [0.0]
    refusals = Refusals(clock=lambda: now[0])
    for number in range(1000):
        refusals.add(Refusal(str(number), 0.0, "192.0.2.1", "GET", "/.env", 404, "unknown_url"))
    assert len(lines) == 50
    now[0] = 1.0
    refusals.add(Refusal("last", 0.0, "192.0.2.1", "GET", "/.env", 404, "unknown_url"))
    assert lines[-1]["unsaid"] == 950
    assert refusals.counts[("404", "unknown_url")] == 1001
    assert len(refusals.recent) == 100
