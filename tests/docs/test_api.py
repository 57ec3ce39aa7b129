"""docs/api.md says what the server does: its calls, headers, codes, metrics and the members of what it answers."""

from __future__ import annotations

import ast
import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from llmproxy.server.routes import API
from tests.docs.markdown import ROOT, named, prose, rows, section
from tests.gateway import Gateway, running_gateway

PAGE = ROOT / "docs" / "api.md"
SOURCES = [path for path in (ROOT / "llmproxy").rglob("*.py") if "testing" not in path.parts]
BETWEEN_WORKERS = {"X-LLMProxy-Peer", "X-LLMProxy-Peer-Proof", "X-LLMProxy-Peer-Stale", "X-LLMProxy-Peer-Face"}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway("[providers.demo]\noptions = { tokens_per_second = 4000 }\n") as one:
        yield one


# What the code has


def _bare(path: str) -> str:
    """Without the patterns of what is in braces."""
    return re.sub(r"{(\w+):[^}]*}", r"{\1}", path)


def routes() -> set[str]:
    """As the page writes them: `GET /v1/models/{id}`."""
    return {f"{route.method} {_bare(route.path)}" for route in API if route.method != "*"}


def strings() -> Iterator[tuple[ast.AST, str]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node, node.value


def codes() -> set[str]:
    """Every `code="..."` of a call, `code = "..."` of a class, and what the tables of codes hold."""
    found: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "code":
                found |= {one.value for one in ast.walk(node.value) if is_text(one)}  # type: ignore[attr-defined]  # as is_text says
            if isinstance(node, ast.ClassDef):
                found |= {one.value.value for one in node.body if is_code(one)}  # type: ignore[attr-defined]  # as is_code says
    return found | {"deadline_exceeded", "server_shutting_down", "upstream_tls", "upstream_error"}


def is_code(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and statement.targets[0].id == "code"
        and is_text(statement.value)
    )


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


# What the page has


def documented_calls() -> set[str]:
    calls = [words.partition("?")[0].split(" `")[0] for words in named(prose(PAGE))]
    return {call for call in calls if re.fullmatch(r"(GET|HEAD|POST|PATCH|DELETE) /\S*", call)}


def documented_codes() -> set[str]:
    return {code for row in rows(section(PAGE, "Errors")) for code in named(row[1])}


def documented_members(what: str) -> set[str]:
    """The keys in a paragraph such as: Thread: `{"id", "title": ...}`. What stands after a colon or a bar is a value."""
    found = re.search(rf"^{what}: `(\{{.*?\}})`", prose(PAGE), re.MULTILINE | re.DOTALL)
    assert found is not None
    return set(re.findall(r'(?<![:|] )(?<![:|]\n)"(\w+)"', found[1]))


def test_every_call_is_described_and_no_other() -> None:
    assert documented_calls() == routes()


def test_every_code_is_described_and_no_other() -> None:
    assert documented_codes() == codes()


def test_every_header_of_ours_is_described_and_no_other() -> None:
    used = {name for _, text in strings() for name in re.findall(r"X-LLMProxy-[A-Za-z-]+[a-z]", text)}
    assert set(re.findall(r"X-LLMProxy-[A-Za-z-]+[a-z]", prose(PAGE))) == used - BETWEEN_WORKERS


def test_every_metric_is_described_and_no_other(gateway: Gateway) -> None:
    with urllib.request.urlopen(f"{gateway.url}/metrics") as answer:
        told = {line.split()[2] for line in answer.read().decode().splitlines() if line.startswith("# TYPE")}
    described = {name for row in rows(section(PAGE, "Health and metrics")) for name in named(row[0]) if "_" in name}
    assert described == told


# The members of what is answered


def asked(gateway: Gateway, path: str, body: object = None, **headers: str) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        gateway.url + path, data=data, headers={"Content-Type": "application/json", **headers}
    )
    with urllib.request.urlopen(request) as answer:
        text = answer.read().decode()
    return json.loads(text) if answer.headers.get_content_type() == "application/json" else text


def test_a_request_has_the_members_that_are_told(gateway: Gateway) -> None:
    question = {"model": "demo/hello", "messages": [{"role": "user", "content": "Hi"}]}
    asked(gateway, "/v1/chat/completions", question, **{"X-Request-ID": "for-the-docs"})
    assert set(asked(gateway, "/v1/requests/for-the-docs")) == documented_members("Request")


def test_threads_and_messages_have_the_members_that_are_told(gateway: Gateway) -> None:
    thread = asked(gateway, "/threads", {})
    asked(gateway, f"/threads/{thread['id']}/messages/stream", {"content": "Hi", "model": "demo/hello"})
    question, answer = asked(gateway, f"/threads/{thread['id']}/messages")["messages"]
    assert set(thread) == documented_members("Thread")
    assert set(question) == documented_members("Message")
    assert set(answer) == documented_members("Message") | {"tokens_per_second", "parts"}


def test_performance_has_the_members_that_are_told(gateway: Gateway) -> None:
    told = asked(gateway, "/api/metrics/performance?window=hour")
    assert set(told["total"]) == documented_members("Numbers")
    assert {*told, *told["series"], "provider", "model"} == documented_members("Performance")


def test_a_native_answer_ends_with_the_members_that_are_told(gateway: Gateway) -> None:
    stream = asked(gateway, "/chat/stream", {"message": "Hi", "model": "demo/hello"})
    done = json.loads(stream.split("event: done\n", 1)[1].split("data: ", 1)[1].split("\n", 1)[0])
    page = PAGE.read_text(encoding="utf-8")
    described = json.JSONDecoder().raw_decode(page[page.index('{"ok": true') :])[0]
    assert set(done) == set(described)
