"""F24-F48: whatever bytes come, a clear refusal goes back, no provider is asked, and the process lives."""

from __future__ import annotations

import asyncio
import gzip
import re
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from llmproxy.testing import check_error
from tests.faults.conftest import Started
from tests.faults.house import FIRST, LAST, House, streaming, whole
from tests.faults.wire import Seen, Wire, get, post
from tests.thorough import examples

CHAT = "/v1/chat/completions"
ASK = b'{"model":"p/any","messages":[{"role":"user","content":"?"}]'


async def refused(house: House, request: bytes, *statuses: int) -> Seen:
    """The answer to a request that must be refused in OpenAI's form, with nobody asked."""
    asked = len(house.provider.exchanges)
    seen = await house.call(request)
    assert seen.status in statuses, seen
    assert check_error(seen.body) == []
    assert len(house.provider.exchanges) == asked
    assert len(seen.body) < 2000
    return seen


NOT_A_QUESTION = {
    "empty": b"",
    "not JSON": b"hello",
    "half of it": ASK,
    "scalar": b"5",
    "null": b"null",
    "string": b'"hello"',
    "array": b"[]",
    "two objects": b"{}{}",
    "single quotes": b"{'model': 'p/any'}",
    "F25 depth 100,000": b'{"model":"p/any","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "F25 deep objects": ASK + b',"x":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    "F26 NaN": ASK + b',"temperature":NaN}',
    "F26 Infinity": ASK + b',"temperature":Infinity}',
    "F26 1e999": ASK + b',"max_tokens":1e999}',
    "F27 5,000 digits": ASK + b',"max_tokens":' + b"9" * 5000 + b"}",
    "F28 invalid UTF-8": ASK + b',"user":"\xff\xfe"}',
    "F28 lone surrogate": ASK + b',"user":"\\ud800"}',
    "F28 UTF-16": (ASK + b"}").decode().encode("utf-16"),
    "F29 model twice": b'{"model":"p/a","model":"p/b","messages":[{"role":"user","content":"?"}]}',
    "F30 a raw control character": ASK + b',"user":"a\x00b"}',
    "F44 stream is no bool": ASK + b',"stream":"yes"}',
    "F44 n is 10**9": ASK + b',"n":1000000000}',
    "F44 n is 0": ASK + b',"n":0}',
    "F44 max_tokens is negative": ASK + b',"max_tokens":-1}',
    "F44 max_tokens is text": ASK + b',"max_tokens":"many"}',
    "F44 stop list of 10,000": ASK + b',"stop":' + orjson.dumps(["x"] * 10_000) + b"}",
    "F44 tools is a string": ASK + b',"tools":"all"}',
    "messages missing": b'{"model":"p/any"}',
    "messages empty": b'{"model":"p/any","messages":[]}',
    "messages of numbers": b'{"model":"p/any","messages":[1,2]}',
    "no role": b'{"model":"p/any","messages":[{"content":"?"}]}',
    "content is a number": b'{"model":"p/any","messages":[{"role":"user","content":5}]}',
    "model missing": b'{"messages":[{"role":"user","content":"?"}]}',
    "model is a number": b'{"model":5,"messages":[{"role":"user","content":"?"}]}',
    "model is very long": b'{"model":"' + b"p/" + b"x" * 10_000 + b'","messages":[{"role":"user","content":"?"}]}',
}


@pytest.mark.parametrize("name", NOT_A_QUESTION)
async def test_f24_what_is_no_question_is_a_400(house: House, name: str) -> None:
    await refused(house, post(CHAT, NOT_A_QUESTION[name]), 400)


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/embeddings", "/chat/stream", "/chat/cancel", "/threads"])
@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"model":5}'], ids=str)
async def test_f24_other_endpoints_refuse_it_too(house: House, path: str, body: bytes) -> None:
    await refused(house, post(path, body), 400)


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff", b'"x"', b'{"owner":["ann"]}', b'{"model":5}'], ids=str)
async def test_f24_the_administrators_stop_refuses_it_too(house: House, body: bytes) -> None:
    await refused(house, post("/v1/requests/cancel", body), 400)


async def test_f28_a_byte_order_mark_is_refused_or_understood(house: House) -> None:
    case = house.case("p", whole({"choices": []}))
    body = b"\xef\xbb\xbf" + orjson.dumps({"model": case.model, "messages": [{"role": "user", "content": "?"}]})
    assert (await house.call(post(CHAT, body))).status in (200, 400, 502)


async def test_f30_control_characters_in_what_is_said_reach_the_provider_and_no_log(house: House) -> None:
    case = house.case("p", streaming(FIRST, LAST))
    text = "a\u0000b\r\n\u001b[31mscarlet"
    assert (await case.answer(messages=[{"role": "user", "content": text}], user=text)).status == 200
    assert case.exchanges[-1].json["messages"][0]["content"] == text
    assert len(await case.noted()) == 1
    assert "scarlet" not in house.gateway.output


async def test_f31_a_body_above_the_limit_is_a_413_and_is_not_taken_in(started: Started) -> None:
    async with started(max_body=1_000_000) as house:
        told = post(CHAT, b"", Content_Length="90000000")
        for request in (told, _chunked(CHAT) + b"100000\r\n" + b"x" * 0x100000 + b"\r\n"):
            async with asyncio.timeout(10), await Wire.open(house.port) as wire:
                await wire.send(request)
                seen = await wire.answer()
                assert (seen.status, seen.error["code"]) == (413, "request_too_large")
                await wire.rest()  # and the connection is closed


async def test_f32_compressed_bodies_are_not_unpacked(house: House) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    before = house.cpu
    await refused(house, post(CHAT, bomb, Content_Encoding="gzip"), 415)
    assert house.cpu - before <= 0.05  # unpacking would take more


STATUS = re.compile(rb"HTTP/\d\.\d \d{3} ")
SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def raw(*lines: str, body: str = "", end: str = "\r\n") -> bytes:
    return (end.join(lines) + end + end + body).encode("latin-1")


P = "POST /v1/chat/completions HTTP/1.1"
H = "Host: 127.0.0.1"
NOT_HTTP = {
    "CL and TE": raw(P, H, "Content-Length: 5", "Transfer-Encoding: chunked", body="0\r\n\r\n" + SMUGGLED),
    "two lengths": raw(P, H, "Content-Length: 0", "Content-Length: 60", body=SMUGGLED),
    "two lengths in one": raw(P, H, "Content-Length: 0, 60", body=SMUGGLED),
    "negative length": raw(P, H, "Content-Length: -1", body=SMUGGLED),
    "length with a sign": raw(P, H, "Content-Length: +0", body=SMUGGLED),
    "unknown TE": raw(P, H, "Transfer-Encoding: xchunked", body="0\r\n\r\n" + SMUGGLED),
    "TE twice": raw(P, H, "Transfer-Encoding: chunked", "Transfer-Encoding: identity", body="0\r\n\r\n" + SMUGGLED),
    "folded line": raw(P, H, "X-A: b", " c", body=SMUGGLED),
    "NUL in a value": raw(P, H, "X-A: b\0c", body=SMUGGLED),
    "space before the colon": raw(P, H, "Content-Length : 5", body=SMUGGLED),
    "no colon": raw(P, H, "Content-Length", body=SMUGGLED),
    "empty name": raw(P, H, ": x", body=SMUGGLED),
    "bad chunk size": raw(P, H, "Transfer-Encoding: chunked", body="zz\r\n\r\n" + SMUGGLED),
    "negative chunk size": raw(P, H, "Transfer-Encoding: chunked", body="-1\r\n\r\n" + SMUGGLED),
    "F34 HTTP/0.9": b"GET /livez\r\n\r\n",
    "F34 HTTP/2.0": raw("GET /livez HTTP/2.0", H),
    "F34 HTTP/1.10": raw("GET /livez HTTP/1.10", H),
    "F34 the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "F34 a TLS hello": bytes.fromhex("16030100c4010000c00303") + bytes(200),
    "F34 noise": bytes(range(256)) * 8,
    "F39 a URL of 20 KB": raw("GET /" + "a" * 20_000 + " HTTP/1.1", H),
    "F39 a header of 20 KB": raw("GET /livez HTTP/1.1", H, "X-A: " + "a" * 20_000),
    "F39 500 headers": raw("GET /livez HTTP/1.1", H, *(f"X-{n}: 1" for n in range(500))),
}


@pytest.mark.parametrize("name", NOT_HTTP)
async def test_f33_what_is_not_http_is_refused_and_the_connection_closed(house: House, name: str) -> None:
    async with asyncio.timeout(10), await Wire.open(house.port) as wire:
        await wire.send(NOT_HTTP[name])
        got = await wire.rest()
    assert len(STATUS.findall(got)) == 1, "what followed was taken for another request"
    head, _, body = got.partition(b"\r\n\r\n")
    assert int(head.split()[1]) in (400, 408, 413, 414, 431, 505), head
    assert check_error(body) == []
    assert b"smuggled" not in body
    assert len(got) < 1000
    assert b"Python" not in head


async def test_f33_a_bare_line_feed_ends_nothing_twice(house: House) -> None:
    """Some parsers take it for an end of line: then both are answered by what they say, and nothing is smuggled."""
    async with asyncio.timeout(10), await Wire.open(house.port) as wire:
        await wire.send(raw("GET /livez HTTP/1.1", H, "Connection: close", end="\n"))
        got = await wire.rest()
    assert len(STATUS.findall(got)) == 1


HOSTS = {
    "none": [],
    "empty": ["Host: "],
    "two": [H, H],
    "two that differ": [H, "Host: evil.example"],
    "noise": ["Host: \x7f\x01%%"],
    "with a path": ["Host: 127.0.0.1/v1"],
    "with a name before it": ["Host: me@127.0.0.1"],
    "port 99999": ["Host: 127.0.0.1:99999"],
    "port abc": ["Host: 127.0.0.1:abc"],
    "open bracket": ["Host: [::1"],
}


@pytest.mark.parametrize("name", HOSTS)
async def test_f35_an_odd_host_is_a_400(house: House, name: str) -> None:
    await refused(house, raw("GET /v1/models HTTP/1.1", *HOSTS[name]), 400)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8811", "127.0.0.1.evil.example", "0177.0.0.1", "10.0.0.1"]
)
async def test_f36_a_name_that_is_not_ours_is_a_421(house: House, host: str) -> None:
    await refused(house, raw("GET /v1/models HTTP/1.1", f"Host: {host}"), 421)
    await refused(house, post(CHAT, ASK + b"}", Host=host), 421)


@pytest.mark.parametrize(
    "line",
    [
        "GET http://evil.example/v1/models HTTP/1.1",
        "CONNECT evil.example:443 HTTP/1.1",
        "TRACE /v1/models HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "BREW /v1/models HTTP/1.1",
    ],
)
async def test_f37_proxying_and_odd_methods_are_refused(house: House, line: str) -> None:
    async with asyncio.timeout(10), await Wire.open(house.port) as wire:
        await wire.send(raw(line, H))
        seen = await wire.answer()
    assert seen.status in (400, 403, 404, 405, 421), seen
    assert b"TRACE" not in seen.body or seen.status == 405


PATHS = ["/v1/../admin", "//v1/models", "/%2e%2e/etc/passwd", "/v1%2fmodels", "/v1/models;x", "/v1/chat/completions."]


@pytest.mark.parametrize("path", PATHS)
async def test_f38_odd_paths_lead_nowhere(house: House, path: str) -> None:
    await refused(house, get(path), 404, 405)


async def test_f40_a_million_chunks_of_one_byte_cost_little(started: Started) -> None:
    async with started(max_body=100_000) as house:
        before = house.cpu
        async with asyncio.timeout(20), await Wire.open(house.port) as wire:
            sending = asyncio.create_task(wire.send(_chunked(CHAT) + b"1\r\nx\r\n" * 1_000_000))
            seen = await wire.answer()
            sending.cancel()
        assert seen.status in (400, 413)
        assert house.cpu - before < 1.5


async def test_f40_chunk_extensions_without_end_cost_a_time_out_and_no_memory(started: Started) -> None:
    async with started(body_timeout=0.5) as house:
        before = house.memory
        async with asyncio.timeout(20), await Wire.open(house.port) as wire:
            sending = asyncio.create_task(wire.send(_chunked(CHAT) + b"1;" + b"x" * 20_000_000))
            seen = await wire.answer()
            sending.cancel()
        assert seen.status == 408
        assert house.memory - before < 5_000_000


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("path", [CHAT, "/v1/requests/cancel", "/chat/stream", "/threads"])
async def test_f41_a_form_is_a_415(house: House, path: str, kind: str) -> None:
    await refused(house, post(path, ASK + b"}", Content_Type=kind), 415)


async def test_f42_an_unknown_model_is_a_404(house: House) -> None:
    seen = await refused(
        house, post(CHAT, {"model": "nobody/nothing", "messages": [{"role": "user", "content": "?"}]}), 404
    )
    assert seen.error["code"] == "model_not_found"


async def test_f43_what_the_gateway_does_not_know_travels_on(house: House) -> None:
    case = house.case("p", streaming(FIRST, LAST))
    await case.answer(mirostat=2, grammar="root ::= [a-z]+", unknown={"deep": [1, None]}, top_k=-5)
    assert case.exchanges[-1].json.items() >= {"mirostat": 2, "unknown": {"deep": [1, None]}, "top_k": -5}.items()


async def test_f44_a_hundred_thousand_messages_are_carried(house: House) -> None:
    case = house.case("p", streaming(FIRST, LAST))
    many = [{"role": "user", "content": "?"}] * 100_000
    assert (await case.answer(messages=many)).status == 200


IMAGES = [
    "http://169.254.169.254/latest",
    "file:///etc/passwd",
    "ftp://127.0.0.1/x",
    "http://[::ffff:a9fe:a9fe]/",
    "http:\\\\127.0.0.1\\x",
]


@pytest.mark.parametrize("provider", ["p", "gem"])
@pytest.mark.parametrize("url", IMAGES)
async def test_f45_no_url_of_a_request_is_fetched(house: House, provider: str, url: str) -> None:
    case = house.case(provider, whole({"error": {"message": "no"}}, 400))
    url = url.replace("127.0.0.1", f"127.0.0.1:{house.provider.port}/fetched")
    content = [{"type": "image_url", "image_url": {"url": url}}]
    connections = house.sockets
    seen = await case.answer(messages=[{"role": "user", "content": content}], stream=False)
    assert seen.status == 400
    assert all("/fetched" not in one.path for one in house.provider.exchanges)
    assert house.sockets <= connections + 1


@pytest.mark.parametrize(
    "url", ["data:", "data:image/png;base64,", "data:image/png;base64,@@@", "data:;;;,,,", "data:text/html,<b>"]
)
async def test_f46_malformed_data_urls_are_no_failure_of_ours(house: House, url: str) -> None:
    case = house.case("gem", whole({"error": {"message": "no", "code": 400}}, 400))
    content = [{"type": "image_url", "image_url": {"url": url}}]
    assert (await case.answer(messages=[{"role": "user", "content": content}], stream=False)).status == 400


EVIL = "x\r\nX-Injected: yes"


@pytest.mark.parametrize("provider", ["p", "gem", "llama"])
async def test_f47_no_header_can_be_injected(house: House, provider: str) -> None:
    body = {
        "model": f"{provider}/{EVIL}",
        "user": EVIL,
        "metadata": {EVIL: EVIL},
        "messages": [{"role": "user", "content": EVIL}],
    }
    seen = await house.call(post(CHAT, body))
    assert seen.status >= 400
    assert "x-injected" not in seen.headers
    assert all("x-injected" not in one.headers for one in house.provider.exchanges)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = [
    "messages",
    "stream",
    "n",
    "stop",
    "tools",
    "max_tokens",
    "stream_options",
    "response_format",
    "logprobs",
    "user",
]


async def test_f48_any_json_at_all_is_answered_and_never_by_a_500(house: House) -> None:
    case = house.case("p", whole({"error": {"message": "no"}}, 400))
    bodies: list[Any] = []

    @examples(150, database=None, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=5) | JSON)
    def collect(body: Any) -> None:
        bodies.append(body)

    collect()
    for body in bodies:
        for provider in ("p", "gem"):
            told = {**body, "model": f"{provider}/{case.name}"} if isinstance(body, dict) else body
            seen = await house.call(post(CHAT, _dumped(told)))
            assert 400 <= seen.status < 500, (told, seen)
            assert check_error(seen.body) == []


async def test_f48_any_bytes_at_all_leave_the_process_alive(house: House) -> None:
    requests: list[bytes] = []

    @examples(150, database=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda noise: raw(P, H) + noise) | _mutated())
    def collect(data: bytes) -> None:
        requests.append(data)

    collect()
    for data in requests:
        async with await Wire.open(house.port) as wire:
            await wire.send(data)
            wire.half_close()
            got = await wire.rest()
            assert b" 500 " not in got[:20], data
    assert (await house.call(get("/livez"))).status == 200
    assert house.gateway.events("internal_error") == []


def _mutated() -> st.SearchStrategy[bytes]:
    """A good request with some bytes of it changed."""
    good = post(CHAT, ASK + b"}")
    changes = st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), min_size=1, max_size=6)
    return changes.map(lambda them: bytes(_change(bytearray(good), them)))


def _change(data: bytearray, changes: list[tuple[int, int]]) -> bytearray:
    for at, value in changes:
        data[at] = value
    return data


def _dumped(body: Any) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # integers beyond 64 bits
        return repr(body).encode("utf-8", "surrogatepass")


def _chunked(path: str) -> bytes:
    return raw(f"POST {path} HTTP/1.1", H, "Content-Type: application/json", "Transfer-Encoding: chunked")


async def test_an_expectation_is_met_or_refused(house: House) -> None:
    case = house.case("p", streaming(FIRST, LAST))
    async with asyncio.timeout(10), await Wire.open(house.port) as wire:
        head, _, body = case.ask().partition(b"\r\n\r\n")
        await wire.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert (await wire.answer()).status == 100
        await wire.send(body)
        assert (await wire.answer()).text == "one "
    await refused(house, post(CHAT, ASK + b"}", Expect="something-else"), 417)


@pytest.mark.parametrize("to", ["h2c", "websocket", "TLS/1.0"])
async def test_an_offer_to_upgrade_is_passed_over(house: House, to: str) -> None:
    case = house.case("p", streaming(FIRST, LAST))
    request = case.ask().replace(b"Host:", b"Connection: Upgrade\r\nUpgrade: " + to.encode() + b"\r\nHost:")
    assert (await house.call(request)).status in (200, 400)
    assert (await house.call(get("/livez"))).status == 200
    await house.quiet()


async def test_pipelined_requests_are_answered_in_order(house: House) -> None:
    cases = [house.case("p", streaming(FIRST, LAST)) for _ in range(5)]
    async with asyncio.timeout(10), await Wire.open(house.port) as wire:
        await wire.send(b"".join(case.ask() for case in cases))
        for case in cases:
            assert (await wire.answer()).headers["x-request-id"] == case.id
