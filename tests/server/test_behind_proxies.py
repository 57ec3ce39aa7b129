"""What proxies and balancers in front send, by hand: health checks, other hosts, the client's address, basic auth."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.gateway import Gateway, running_gateway
from tests.server.asking import Said, ask
from tests.waiting import until

KEY = {"Authorization": "Bearer a-clients-key"}
HELLO = {"model": "demo/hello", "messages": [{"role": "user", "content": "hi"}]}
OWN_PAGE = {"Origin": "https://gw.example", "Sec-Fetch-Site": "same-origin"}
TRUSTING = '[server]\nallowed_hosts = ["gw.example"]\ntrusted_proxies = ["127.0.0.1", "10.0.0.0/8"]\n'


@pytest.fixture(scope="module")
def keyed() -> Iterator[Gateway]:
    """Wants a key, and answers to one name beyond loopback."""
    config = '[server]\nhost = "0.0.0.0"\nkeys = ["a-clients-key"]\nallowed_hosts = ["gw.example"]\n'
    with running_gateway(config) as one:
        yield one


@pytest.fixture(scope="module")
def trusting() -> Iterator[Gateway]:
    with running_gateway(TRUSTING) as one:
        yield one


@pytest.fixture(scope="module")
def plain() -> Iterator[Gateway]:
    with running_gateway() as one:
        yield one


def raw(gateway: Gateway, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2])), timeout=10) as wire:
        wire.sendall(data)
        got = b""
        while piece := wire.recv(65536):
            got += piece
            if b"\r\n\r\n" in got and b"HTTP/1.1" in data:
                break
        return got


def models(gateway: Gateway, **headers: str) -> Said:
    return ask(gateway.url, "/v1/models", {name.replace("_", "-"): value for name, value in headers.items()})


def post(gateway: Gateway, headers: dict[str, str]) -> Said:
    return ask(gateway.url, "/threads", headers, method="POST", body={"title": "t"})


# Health checks


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
@pytest.mark.parametrize("host", ["10.1.2.3:8811", "any.example", "[fd00::1]:8811", "127.0.0.1"])
def test_a_probe_is_answered_by_whatever_name(keyed: Gateway, path: str, host: str) -> None:
    assert ask(keyed.url, path, {"Host": host}).status == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_and_without_any_in_http_1_0(keyed: Gateway, path: str, method: str) -> None:
    assert raw(keyed, f"{method} {path} HTTP/1.0\r\n\r\n".encode()).startswith(b"HTTP/1.0 200")


def test_by_a_foreign_name_it_tells_no_more_than_its_status(keyed: Gateway) -> None:
    assert ask(keyed.url, "/readyz", {"Host": "10.1.2.3:8811"}).json == {"status": "ok"}
    assert ask(keyed.url, "/readyz", {"Origin": "http://evil.example"}).json == {"status": "ok"}
    assert "providers" in ask(keyed.url, "/readyz", {"Host": "gw.example"}).json


def test_http_1_0_without_a_host_is_answered_on_every_path(keyed: Gateway, plain: Gateway) -> None:
    """Old balancers and tools send such requests; browsers do not, and it is they from whom the check protects."""
    assert raw(plain, b"GET /v1/models HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200")
    assert raw(keyed, b"GET /v1/models HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 401")
    assert b" 400 " in raw(plain, b"GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n")


# Names


def test_everything_else_is_answered_to_its_names_only(keyed: Gateway) -> None:
    assert models(keyed, **KEY, Host="gw.example").status == 200
    assert models(keyed, **KEY, Host="10.1.2.3:8811").status == 421
    assert models(keyed, **KEY, Host="evil.example").status == 421


@pytest.mark.parametrize("host", ["127.0.0.1:8811", "gw.example", "gw.example:443", "gw.example:8443", "GW.Example"])
def test_with_a_key_our_own_page_works_whatever_host_a_proxy_sends(keyed: Gateway, host: str) -> None:
    assert post(keyed, {**KEY, **OWN_PAGE, "Host": host}).status == 201


def test_without_a_key_it_works_by_the_name_that_was_asked_for(trusting: Gateway) -> None:
    assert post(trusting, {**OWN_PAGE, "Host": "gw.example"}).status == 201
    assert post(trusting, {**OWN_PAGE, "Host": "gw.example:443"}).status == 201
    assert post(trusting, {**OWN_PAGE, "Host": "gw.example", "Origin": "https://gw.example:8443"}).status == 201
    old = {"Origin": "https://gw.example", "Host": "gw.example:443"}
    assert post(trusting, old).status == 201, "a browser that does not say Sec-Fetch-Site"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "127.0.0.1", "Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Host": "gw.example", "Origin": "https://gw.example:8443"},
        {"Host": "gw.example", "Origin": "https://gw.example:8443", "Sec-Fetch-Site": "same-site"},
        {"Host": "gw.example", "Origin": "https://gw.example.evil", "Sec-Fetch-Site": "cross-site"},
        {"Host": "gw.example", "Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {"Host": "127.0.0.1", "X-Forwarded-Host": "gw.example", "Origin": "https://evil.example"},
        {"Host": "127.0.0.1", "X-Forwarded-Host": "evil.example, gw.example", "Origin": "https://evil.example"},
    ],
)
def test_a_foreign_page_is_refused_as_before(trusting: Gateway, headers: dict[str, str]) -> None:
    said = post(trusting, headers)
    assert (said.status, said.code) == (403, "forbidden_origin")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Host": "gw.example"},
        {"X-Forwarded-Host": "made.up, gw.example"},
        {"Forwarded": 'for=10.0.0.9;host=gw.example;proto=https, for="[2001:db8::1]";host="gw.example"'},
    ],
)
def test_a_trusted_proxy_may_say_by_which_name_it_was_asked(trusting: Gateway, headers: dict[str, str]) -> None:
    assert post(trusting, {**headers, "Host": "127.0.0.1:8811", "Origin": "https://gw.example"}).status == 201


def test_but_that_name_must_be_allowed_like_any_other(trusting: Gateway) -> None:
    """A page whose name was made to point at the proxy would be answered otherwise."""
    said = post(trusting, {"X-Forwarded-Host": "evil.example", "Host": "127.0.0.1", "Origin": "https://evil.example"})
    assert (said.status, said.code) == (421, "unknown_host")


def test_from_anybody_else_these_headers_say_nothing(plain: Gateway) -> None:
    said = post(plain, {"X-Forwarded-Host": "gw.example", "Host": "127.0.0.1", "Origin": "https://gw.example"})
    assert (said.status, said.code) == (403, "forbidden_origin")


# Addresses


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"X-Forwarded-For": "203.0.113.9"}, "203.0.113.9"),
        ({"X-Forwarded-For": "6.6.6.6, 203.0.113.9, 10.0.0.7"}, "203.0.113.9"),
        ({"X-Forwarded-For": "203.0.113.9:51234"}, "203.0.113.9"),
        ({"X-Forwarded-For": "[2001:db8::9]:443"}, "2001:db8::9"),
        ({"X-Forwarded-For": "203.0.113.9, unknown"}, "127.0.0.1"),
        ({"X-Real-IP": "203.0.113.9"}, "203.0.113.9"),
        ({"Forwarded": 'for="[2001:db8::9]:4711";proto=https'}, "2001:db8::9"),
        ({"X-Forwarded-For": "10.0.0.7"}, "10.0.0.7"),
        ({}, "127.0.0.1"),
    ],
)
def test_the_log_names_the_client_in_front_of_all_trusted_proxies(
    trusting: Gateway, headers: dict[str, str], address: str
) -> None:
    id = ask(trusting.url, "/v1/nothing", headers).headers["X-Request-ID"]
    assert logged(trusting, id)["address"] == address


def test_an_address_that_nobody_trusted_has_sent_is_not_taken(plain: Gateway) -> None:
    id = ask(plain.url, "/v1/nothing", {"X-Forwarded-For": "203.0.113.9"}).headers["X-Request-ID"]
    assert logged(plain, id)["address"] == "127.0.0.1"


def logged(gateway: Gateway, id: str) -> dict[str, object]:
    return until(
        lambda: next((event for event in gateway.events("refused") if event.get("id") == id), None), "its line"
    )


# Basic auth in front


def test_the_password_of_a_proxy_in_front_is_none_of_our_keys(keyed: Gateway, plain: Gateway) -> None:
    basic = {"Authorization": "Basic bWU6cGFzcw=="}
    assert ask(plain.url, "/v1/models", basic).status == 200
    assert ask(keyed.url, "/v1/models", {**basic, "X-Api-Key": "a-clients-key"}).status == 200
    assert ask(keyed.url, "/v1/models", basic).status == 401
    assert ask(keyed.url, "/v1/models", {**KEY, "X-Api-Key": "another"}).status == 400
