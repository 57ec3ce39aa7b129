"""F104-F112: what must not get in, and what must not get out. F104 is in test_process.py, F107 with the page's tests."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

import orjson
import pytest

from llmproxy.server.middleware.auth_throttle import MOST, WINDOW
from llmproxy.testing import Behaviour, check_error
from tests.faults.conftest import KEY_A as A
from tests.faults.conftest import KEY_B as B
from tests.faults.conftest import KEY_ROOT as ROOT
from tests.faults.conftest import KEYS, Started
from tests.faults.house import FIRST, JSON, LAST, MORE, Case, House, soon, streaming, whole
from tests.faults.wire import Seen, get, post

CANARY = "sk-canary-0123456789abcdef"
BRIEF = streaming(FIRST, LAST)
CHAT = "/v1/chat/completions"


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def question(model: str, **members: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "?"}], **members}


FOREIGN = (
    ("GET", "/v1/requests/{}"),
    ("GET", "/v1/requests/{}/stream"),
    ("POST", "/v1/requests/{}/cancel"),
    ("POST", "/threads/cancel/{}"),
    ("POST", "/chat/cancel"),
)


async def test_f105_somebody_elses_request_is_as_unknown_as_none(guarded: House) -> None:
    case = guarded.case("p", streaming(FIRST, *[MORE] * 500, every=0.02))
    request = post(CHAT, question(case.model, stream=True), X_Request_ID=case.id, **bearer(A))
    running = asyncio.create_task(guarded.call(request))
    await case.arrived()
    for method, path in FOREIGN:
        foreign = await called(guarded, method, path, case.id, B)
        unknown = await called(guarded, method, path, "no-such-request-at-all", B)
        assert foreign.status == unknown.status
        assert foreign.body.replace(case.id.encode(), b"ID") == unknown.body.replace(b"no-such-request-at-all", b"ID")
    assert case.id not in (await guarded.call(get("/v1/requests", **bearer(B)))).body.decode()
    assert (await guarded.call(get(f"/v1/requests/{case.id}", **bearer(A)))).json["state"] == "running"
    await guarded.call(post(f"/v1/requests/{case.id}/cancel", b"", **bearer(ROOT)))
    assert (await running).error["by"] == "admin"


async def called(house: House, method: str, path: str, id: str, key: str) -> Seen:
    if method == "GET":
        return await house.call(get(path.format(id), **bearer(key)))
    return await house.call(post(path.format(id), {"request_id": id}, **bearer(key)))


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "http://x]:80"])
async def test_an_origin_that_is_no_url_is_a_400(guarded: House, origin: str) -> None:
    seen = await guarded.call(get("/v1/requests", Origin=origin, **bearer(A)))
    assert (seen.status, seen.error["code"]) == (400, "invalid_http")


async def test_f105_the_time_of_the_answer_tells_nothing(guarded: House) -> None:
    case = guarded.case("p", BRIEF)
    await guarded.call(post(CHAT, question(case.model), X_Request_ID=case.id, **bearer(A)))

    async def times(id: str) -> list[float]:
        found = []
        for _ in range(150):
            began = time.perf_counter()
            await guarded.call(get(f"/v1/requests/{id}", **bearer(B)))
            found.append(time.perf_counter() - began)
        return found

    foreign, unknown = await times(case.id), await times("no-such-request-at-all")
    difference = abs(statistics.median(foreign) - statistics.median(unknown))
    assert difference < max(statistics.stdev(foreign), statistics.stdev(unknown), 0.0005)


ORIGINS = {
    "another site": {"Origin": "http://evil.example"},
    "a null origin": {"Origin": "null"},
    "a name that begins like ours": {"Origin": "http://127.0.0.1.evil.example"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "no origin, but cross-site": {"Sec-Fetch-Site": "cross-site"},
}


@pytest.mark.parametrize("name", ORIGINS)
@pytest.mark.parametrize("path", [CHAT, "/chat/stream", "/threads", "/v1/requests/cancel", "/chat/cancel"])
async def test_f106_another_page_may_not_ask(house: House, name: str, path: str) -> None:
    seen = await house.call(post(path, question("p/any"), **ORIGINS[name]))
    assert seen.status == 403
    assert check_error(seen.body) == []
    assert not [header for header in seen.headers if header.startswith("access-control")]


async def test_f106_a_preflight_of_another_page_is_refused(house: House) -> None:
    asking = b"OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\n"
    seen = await house.call(asking + b"Access-Control-Request-Method: POST\r\n\r\n")
    assert seen.status == 403
    assert "access-control-allow-origin" not in seen.headers


async def test_f106_our_own_page_may_ask(house: House) -> None:
    case = house.case("p", BRIEF)
    own = {
        "Host": f"127.0.0.1:{house.port}",
        "Origin": f"http://127.0.0.1:{house.port}",
        "Sec-Fetch-Site": "same-origin",
    }
    assert (await house.call(post(CHAT, question(case.model), **own))).status == 200


LEAKS = {
    "a message": {"error": {"message": f"Incorrect API key provided: {CANARY}.", "code": "invalid_api_key"}},
    "a further member": {"error": {"message": "no", "metadata": {"raw": f"key {CANARY} is wrong"}, "key": CANARY}},
    "text": f"<html>Authorization: Bearer {CANARY}</html>".encode(),
    "the code": {"error": {"message": "no", "code": CANARY, "type": CANARY, "param": CANARY}},
}


@pytest.mark.parametrize("status", [200, 401, 500])
@pytest.mark.parametrize("name", LEAKS)
async def test_f108_the_providers_key_comes_back_to_nobody(house: House, name: str, status: int) -> None:
    case = house.case("once", whole(LEAKS[name], status))
    for stream in (True, False):
        seen = await case.answer(stream=stream)
        assert CANARY not in seen.body.decode() + str(seen.headers)
    await everywhere_clean(case)


async def test_f108_nor_does_it_in_the_middle_of_a_stream(house: House) -> None:
    error = b"data: " + orjson.dumps(LEAKS["a message"]) + b"\n\n"
    case = house.case("p", streaming(FIRST, error))
    assert CANARY not in (await case.answer()).body.decode()
    await everywhere_clean(case)


async def everywhere_clean(case: Case) -> None:
    """Neither the log nor any page that tells of requests knows the key."""
    await case.noted()
    assert CANARY not in case.house.gateway.output
    for path in ("/v1/requests", "/metrics", "/readyz", "/api/info", "/v1/models"):
        assert CANARY not in (await case.house.call(get(path))).body.decode()


async def test_f108_clients_keys_are_in_no_output(guarded: House) -> None:
    case = guarded.case("p", BRIEF)
    await guarded.call(post(CHAT, question(case.model), **bearer(A)))
    wrong = await guarded.call(post(CHAT, question(case.model), **bearer("wrong-" + A)))
    assert wrong.status == 401
    for path in ("/v1/requests", "/metrics", "/api/info"):
        assert A not in (await guarded.call(get(path, **bearer(ROOT)))).body.decode()
    await soon(lambda: _told_of_requests(guarded))
    assert A not in guarded.gateway.output + wrong.body.decode()


async def _told_of_requests(house: House) -> bool:
    return bool(house.gateway.events("request"))


async def test_f108_what_was_said_is_in_no_log(house: House) -> None:
    case = house.case("p", streaming(FIRST.replace(b"one", b"ANSWERED-CANARY"), LAST))
    await case.answer(messages=[{"role": "user", "content": "ASKED-CANARY"}])
    await house.case("p", whole(b"FAILED-CANARY", 500)).answer()
    await case.noted()
    assert not [word for word in ("ASKED-CANARY", "ANSWERED-CANARY", "FAILED-CANARY") if word in house.gateway.output]


@pytest.mark.parametrize("evil", ["a\r\nb", "\x1b[31mred", "x\x00y", "\u2028line", '"},{"event":"fake'])
async def test_f109_nothing_a_client_says_breaks_a_log_line(house: House, evil: str) -> None:
    await house.call(post(CHAT, question(f"p/{evil}"), User_Agent="\x1b[31m"))
    await house.call(get("/livez", X_Request_ID="\x1b[31mabcdefgh"))
    later = house.case("p", BRIEF)
    await later.answer()
    await later.noted()
    output = house.gateway.output
    assert "\x1b" not in output
    assert all(orjson.loads(line)["event"] != "fake" for line in output.splitlines() if line.startswith("{"))


async def test_f110_many_wrong_keys_are_told_to_slow_down_and_lock_nobody_out(started: Started) -> None:
    async with started(keys=KEYS) as house:
        before = house.cpu
        seen = [await house.call(get("/v1/models", **bearer(f"guess-{number}"))) for number in range(200)]
        assert [one.status for one in seen] == [401] * MOST + [429] * (200 - MOST)
        assert (seen[-1].error["code"], seen[-1].headers["connection"]) == ("too_many_wrong_keys", "close")
        assert 0 < int(seen[-1].headers["retry-after"]) <= WINDOW
        assert (await house.call(get("/v1/models", **bearer(A)))).status == 200, "from the same address"
        assert (await house.call(get("/v1/models"))).status == 401, "no key is no guess"
        assert house.cpu - before < 2
        assert [one["address"] for one in house.gateway.events("many_wrong_keys")] == ["127.0.0.1"]


ODD_KEYS = {
    "none": "",
    "empty": "Bearer ",
    "basic": "Basic YTpi",
    "two words": f"Bearer {A} {A}",
    "not ASCII": "Bearer \xff\xfe",
    "only a part": f"Bearer {A[:-1]}",
}


@pytest.mark.parametrize("name", ODD_KEYS)
async def test_f110_odd_keys_are_wrong_keys(guarded: House, name: str) -> None:
    for path in ("/v1/models", "/v1/requests", "/threads", "/metrics", "/api/info", "/v1/nowhere"):
        assert (await guarded.call(get(path, Authorization=ODD_KEYS[name]))).status == 401, path


async def test_f42_a_model_that_a_key_may_not_use_is_refused(guarded: House) -> None:
    case = guarded.case("p", BRIEF)
    seen = await guarded.call(post(CHAT, question(case.model), **bearer(B)))
    assert seen.status in (403, 404)
    assert case.exchanges == []


async def test_f111_two_different_keys_are_refused(guarded: House) -> None:
    seen = await guarded.call(get("/v1/models", X_Api_Key=B, **bearer(A)))
    assert (seen.status, seen.error["code"]) == (400, "invalid_api_key")


OURS = {
    "Authorization": "Bearer of-the-client",
    "Cookie": "session=of-the-client",
    "X-Forwarded-For": "1.2.3.4",
    "X-Forwarded-Host": "evil.example",
    "Forwarded": "for=1.2.3.4",
    "Proxy-Authorization": "Basic of-the-client",
    "Proxy-Connection": "keep-alive",
    "Connection": "X-Secret, keep-alive",
    "X-Secret": "of-the-client",
    "TE": "trailers",
    "Referer": "http://of-the-client/",
    "Origin-Agent": "of-the-client",
    "OpenAI-Organization": "of-the-client",
    "Accept-Encoding": "gzip, br",
}


@pytest.mark.parametrize("provider", ["p", "gem", "llama"])
async def test_f111_no_header_of_the_client_reaches_the_provider(house: House, provider: str) -> None:
    case = house.case(provider, Behaviour([b"{}"], 400, JSON, framing="length"))
    await house.call(post(CHAT, question(case.model), X_Request_ID=case.id, **OURS))
    sent = case.exchanges[0].headers
    assert "of-the-client" not in str(sent)
    assert not sent.keys() & {
        "cookie",
        "x-forwarded-for",
        "x-forwarded-host",
        "forwarded",
        "te",
        "referer",
        "origin",
        "x-secret",
    }
    assert sent["accept-encoding"] == "identity"
    assert CANARY in str(sent), "its own key does"


async def test_every_route_wants_a_key_but_those_that_tell_nothing(guarded: House) -> None:
    for path in ("/livez", "/readyz", "/healthz", "/"):
        assert (await guarded.call(get(path))).status in (200, 404)
    for path in (
        "/v1/models",
        "/v1/requests",
        "/v1/requests/x/stream",
        "/threads",
        "/threads/x",
        "/api/info",
        "/metrics",
    ):
        assert (await guarded.call(get(path))).status == 401, path
    for path in (
        CHAT,
        "/v1/completions",
        "/v1/embeddings",
        "/chat/stream",
        "/chat/cancel",
        "/v1/requests/cancel",
        "/threads",
    ):
        assert (await guarded.call(post(path, {}))).status == 401, path


async def test_the_page_may_load_nothing_from_elsewhere(house: House) -> None:
    seen = await house.call(get("/"))
    policy = seen.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert seen.headers["x-content-type-options"] == "nosniff"
