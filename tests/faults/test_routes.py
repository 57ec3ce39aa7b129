"""The table of routes: closed by default, open only where it says so."""

from __future__ import annotations

import re

import pytest

from llmproxy.server.middleware.routes import Route
from llmproxy.server.routes import API, PAGE
from tests.faults.conftest import KEY_A, KEY_ROOT
from tests.faults.house import House

OPEN = {"/livez", "/readyz", "/healthz", "/", "/api/hello"}
# What a missing key is called in each dialect, and in which member of the error.
UNAUTHORISED = {"messages": ("type", "authentication_error"), "gemini": ("status", "UNAUTHENTICATED")}
UNKNOWN = (
    "/providers/x",
    "/v1",
    "/v1/nothing",
    "/threads/x/y/z",
    "/nothing",
    "/v2/chat/completions",
    "/metricsx",
)


def path_of(route: Route) -> str:
    return re.sub(r"\{[^}]*\}+", "x", route.path)


def method_of(route: Route) -> str:
    return "POST" if route.method == "*" else route.method


def head(method: str, path: str, **headers: str) -> bytes:
    """A request with an empty JSON body."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", "Content-Length: 2"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", "{}"]).encode()


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_only_health_and_the_pages_own_files_are_open() -> None:
    assert {route.path for route in (*API, *PAGE) if route.access == "open"} == OPEN | {PAGE[-1].path}


def test_each_route_stands_once_in_the_table() -> None:
    every = [(route.method, route.path) for route in (*API, *PAGE)]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize("route", [route for route in API if route.access == "key"], ids=named)
async def test_a_closed_route_asks_for_a_key(guarded: House, route: Route) -> None:
    seen = await guarded.call(head(method_of(route), path_of(route)))
    member, word = UNAUTHORISED.get(route.dialect, ("code", "invalid_api_key"))
    assert (seen.status, seen.error[member]) == (401, word)


@pytest.mark.parametrize("route", API, ids=named)
@pytest.mark.parametrize("key", [KEY_A, KEY_ROOT], ids=["client", "administrator"])
async def test_with_a_key_every_route_gets_to_its_handler(guarded: House, route: Route, key: str) -> None:
    seen = await guarded.call(head(method_of(route), path_of(route), Authorization=f"Bearer {key}"))
    assert seen.status not in (401, 405, 500)


@pytest.mark.parametrize("path", UNKNOWN)
async def test_what_is_not_in_the_table_needs_a_key_even_to_be_not_found(guarded: House, path: str) -> None:
    assert (await guarded.call(head("GET", path))).status == 401
    assert (await guarded.call(head("POST", path))).status == 401
    seen = await guarded.call(head("GET", path, Authorization=f"Bearer {KEY_A}"))
    assert (seen.status, seen.error["code"]) == (404, "unknown_url")


@pytest.mark.parametrize("route", [route for route in API if route.access == "open"], ids=named)
async def test_an_open_route_asks_for_none(guarded: House, route: Route) -> None:
    assert (await guarded.call(head(route.method, path_of(route)))).status == 200
