"""A request's head: where it goes, what it says, and what it cannot be made to say."""

from __future__ import annotations

import pytest

from llmproxy.core.errors import BadRequest
from llmproxy.upstream.http.proxy_route import Proxies, Proxy, Route
from llmproxy.upstream.http.request_writer import Head, render_head


def head(url: str = "http://provider/v1", method: str = "POST", proxy: str | None = None, **fields: str) -> Head:
    named = tuple((name.replace("_", "-"), value) for name, value in fields.items())
    return render_head(method, Proxies.parse(proxy).target(url), named)


def lines(made: Head) -> list[str]:
    return made.start.decode().split("\r\n")[:-1]


HOSTS = {
    "http://provider/v1": "host: provider",
    "http://provider:80/v1": "host: provider",
    "https://provider:443/v1": "host: provider",
    "http://provider:443/v1": "host: provider:443",
    "http://PROVIDER:8080": "host: provider:8080",
    "http://[::1]:8080/": "host: [::1]:8080",
    "http://[::1]/": "host: [::1]",
}


@pytest.mark.parametrize("url", HOSTS)
def test_the_host_is_named_with_its_port_unless_that_is_the_usual_one(url: str) -> None:
    assert lines(head(url))[1] == HOSTS[url]


def test_a_host_that_was_given_is_kept() -> None:
    made = lines(head(Host="inner"))
    assert "host: inner" in made
    assert "host: provider" not in made


PATHS = {
    "http://provider": "/",
    "http://provider?a=b": "/?a=b",
    "http://provider/v1/x%20y?a=b&c#part": "/v1/x%20y?a=b&c",
}


@pytest.mark.parametrize("url", PATHS)
def test_the_path_is_said_as_it_was_given(url: str) -> None:
    assert lines(head(url))[0] == f"POST {PATHS[url]} HTTP/1.1"


def test_the_route_is_what_a_connection_needs_to_know() -> None:
    assert head("http://[::1]:8080/a").route == Route("::1", 8080, False)
    assert head("https://provider/b").route == Route("provider", 443, True)


def test_no_coding_is_ever_asked_for() -> None:
    assert "accept-encoding: identity" in lines(head(Accept_Encoding="gzip"))
    assert not any("gzip" in line for line in lines(head(Accept_Encoding="gzip")))


@pytest.mark.parametrize("name", ["Content_Length", "Transfer_Encoding", "Connection", "TE", "Upgrade", "Keep_Alive"])
def test_the_framing_cannot_be_given(name: str) -> None:
    assert not any("given" in line for line in lines(head(**{name: "given"})))


def test_the_length_is_that_of_all_pieces() -> None:
    request = head().request((b"abc", b"de"))
    assert request.head.endswith(b"content-length: 5\r\n\r\n")


def test_an_empty_body_has_a_length_only_where_one_could_have_been() -> None:
    assert head().request(b"").head.endswith(b"content-length: 0\r\n\r\n")
    assert b"content-length" not in head(method="GET").request(b"").head


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\rb", "a\0b", "\x1b[0m", "\u20ac"])
def test_a_value_cannot_smuggle_a_header(value: str) -> None:
    with pytest.raises(BadRequest) as caught:
        head(X_Title=value)
    assert value not in caught.value.message  # it may be a secret


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "\u00e4"])
def test_a_name_must_be_a_token(name: str) -> None:
    with pytest.raises(BadRequest):
        head(**{name: "1"})


@pytest.mark.parametrize("method", ["", "GET /x", "GET\r\nx"])
def test_a_method_must_be_a_token(method: str) -> None:
    with pytest.raises(BadRequest):
        head(method=method)


BAD_URLS = [
    "", "/v1", "provider/v1", "ftp://provider", "http://", "http://provider:0", "http://provider:99999", "http://[::1",
    "http://provider/a b", "http://provider/a\r\nx-evil: 1", "http://provider/a\nb", "http://pr\u00f6vider", "http://me:secret@provider",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_url_must_be_whole_and_clean(url: str) -> None:
    with pytest.raises(BadRequest):
        head(url)


def test_a_proxy_is_asked_for_the_whole_url_where_there_is_no_tls() -> None:
    made = head("http://provider:8080/v1", proxy="http://me:p%40ss@proxy:3128")
    assert made.route == Route("proxy", 3128, False)
    assert lines(made)[:2] == ["POST http://provider:8080/v1 HTTP/1.1", "host: provider:8080"]
    assert "proxy-authorization: Basic bWU6cEBzcw==" in lines(made)


def test_a_proxys_secret_stays_out_of_the_tunnel() -> None:
    made = head("https://provider/v1", proxy="http://me:pass@proxy:3128")
    assert made.route.tunnel == Proxy("proxy", 3128, (("proxy-authorization", "Basic bWU6cGFzcw=="),))
    assert lines(made)[0] == "POST /v1 HTTP/1.1"
    assert not any("authorization" in line for line in lines(made))


ENVIRONMENT = {"http": "http://one:1", "https": "two:2", "no": "localhost,.inner.test,10.0.0.1"}

FOUND = {
    "http://provider/": Route("one", 1, False),
    "https://provider/": Route("provider", 443, True, Proxy("two", 2)),
    "http://localhost:8080/": Route("localhost", 8080, False),
    "https://a.inner.test/": Route("a.inner.test", 443, True),
    "http://10.0.0.1/": Route("10.0.0.1", 80, False),
}


@pytest.mark.parametrize("url", FOUND)
def test_the_environments_proxies_and_their_exceptions(url: str) -> None:
    assert Proxies.parse(ENVIRONMENT).target(url).route == FOUND[url]


@pytest.mark.parametrize("proxy", ["ftp://proxy:1080", "quic://proxy:443", "http://"])
def test_what_is_no_proxy_is_refused(proxy: str) -> None:
    with pytest.raises(ValueError, match="proxy"):
        Proxies.parse(proxy)
