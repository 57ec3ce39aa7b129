"""Pages of other origins that the config allows: any SDK in a browser works from them, and from no other origin."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.gateway import Gateway, running_gateway
from tests.server.asking import Said, ask
from tests.waiting import until

PAGE = "http://localhost:23121"
STAINLESS = "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-retry-count"
ASKED = [STAINLESS, "x-api-key", "api-key,http-referer,x-title", "openai-beta, cache-control", "x-anything-at-all"]
HELLO = {"model": "demo/hello", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway(f'[server]\nkeys = ["a-key-of-a-client"]\nallowed_origins = ["{PAGE}"]\n') as one:
        yield one


def preflight(gateway: Gateway, origin: str, headers: str | None = None, **more: str) -> Said:
    asked = {} if headers is None else {"Access-Control-Request-Headers": headers}
    return ask(
        gateway.url,
        "/v1/chat/completions",
        {"Origin": origin, "Access-Control-Request-Method": "POST", **asked, **more},
        method="OPTIONS",
    )


@pytest.mark.parametrize("headers", ASKED)
def test_an_allowed_page_may_send_whatever_headers_it_asks_for(gateway: Gateway, headers: str) -> None:
    said = preflight(gateway, PAGE, headers)
    assert said.status == 204
    assert said.headers["Access-Control-Allow-Origin"] == PAGE
    assert said.headers["Access-Control-Allow-Headers"] == headers
    assert "POST" in said.headers["Access-Control-Allow-Methods"]
    vary = ", ".join(said.headers.get_all("Vary", []))
    assert {"Origin", "Access-Control-Request-Headers"} <= {name.strip() for name in vary.split(",")}


def test_a_preflight_without_headers_is_answered_without(gateway: Gateway) -> None:
    said = preflight(gateway, PAGE)
    assert (said.status, said.headers["Access-Control-Allow-Headers"]) == (204, None)


def test_what_is_no_list_of_names_is_not_repeated(gateway: Gateway) -> None:
    assert preflight(gateway, PAGE, "a; b=<c>").headers["Access-Control-Allow-Headers"] is None


def test_a_page_on_a_public_address_may_reach_a_private_one(gateway: Gateway) -> None:
    asked = {"Access-Control-Request-Private-Network": "true"}
    assert preflight(gateway, PAGE, **asked).headers["Access-Control-Allow-Private-Network"] == "true"
    assert preflight(gateway, PAGE).headers["Access-Control-Allow-Private-Network"] is None


@pytest.mark.parametrize("origin", ["http://localhost:23122", "https://localhost:23121", "null", PAGE + ".example"])
def test_another_page_is_told_nothing(gateway: Gateway, origin: str) -> None:
    said = preflight(gateway, origin, STAINLESS, **{"Access-Control-Request-Private-Network": "true"})
    assert (said.status, said.code) == (403, "forbidden_origin")
    assert not [name for name in said.headers if name.lower().startswith("access-control-allow")]


def test_an_allowed_page_reads_answers_errors_and_every_header_of_them(gateway: Gateway) -> None:
    good = ask(
        gateway.url,
        "/v1/chat/completions",
        {"Origin": PAGE, "Authorization": "Bearer a-key-of-a-client", "X-Stainless-OS": "Linux"},
        method="POST",
        body=HELLO,
    )
    bad = ask(gateway.url, "/v1/models", {"Origin": PAGE, "X-Api-Key": "wrong"})
    assert (good.status, bad.status) == (200, 401)
    for said in (good, bad):
        assert said.headers["Access-Control-Allow-Origin"] == PAGE
        shown = {name.strip().lower() for name in said.headers["Access-Control-Expose-Headers"].split(",")}
        assert {name.lower() for name in said.headers if name.lower().startswith("x-")} <= shown


def test_every_answer_says_that_it_varies_with_the_origin(gateway: Gateway) -> None:
    assert "Origin" in ask(gateway.url, "/livez").headers.get_all("Vary", [])


def test_origins_that_a_reload_brings_hold_from_then_on() -> None:
    with running_gateway() as gateway:
        assert preflight(gateway, PAGE, STAINLESS).status == 403
        file = gateway.folder / "llmproxy.toml"
        file.write_text('[server]\nallowed_origins = ["*"]\n')
        os.utime(file, (1, 1))
        until(lambda: preflight(gateway, PAGE, STAINLESS).status == 204)
        assert preflight(gateway, PAGE, STAINLESS).headers["Access-Control-Allow-Origin"] == PAGE
