"""F49-F80: what providers do to a gateway, and what its client sees of that."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import orjson
import pytest

from llmproxy.testing import Behaviour, Exchange, check_error, check_models, check_stream, chunk, completion, sse
from tests.faults.conftest import Started
from tests.faults.house import FIRST, JSON, LAST, MORE, STREAM, House, soon, streaming, whole
from tests.faults.phases import SLOW
from tests.faults.wire import Seen, get
from tests.gateway import free_port

CANARY = "sk-canary-0123456789abcdef"


class Raw(Behaviour):
    """Bytes in place of a whole HTTP answer."""

    def head(self) -> bytes:
        return b""


def raw(data: bytes) -> Behaviour:
    return Raw([data], framing="close")


def error_body(message: str = "no", **members: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "t", "param": None, "code": None, **members}}


FAKE = "http://127.0.0.1:PORT/v1"


def one_provider(address: str, *settings: str) -> str:
    """A config with nothing but a provider `p` there."""
    table = ["[providers.p]", 'adapter = "compatible"', f'base_url = "{address}"', "list_models = false"]
    return "\n".join([*table, *settings, ""])


@dataclass(frozen=True)
class Fault:
    """What a provider does, the status the client gets, and the error's code there or in the stream."""

    name: str
    script: tuple[Behaviour, ...]
    status: int
    code: str | None
    provider: str = "once"
    partial: bool = False  # text came before the failure


FAULTS = (
    Fault("F50 says nothing", (SLOW,), 504, "upstream_first_frame_timeout", provider="brief"),
    Fault(
        "F51 headers, then silence", (streaming(ending="hang"),), 504, "upstream_first_frame_timeout", provider="brief"
    ),
    Fault(
        "F51 a first frame, then silence",
        (streaming(FIRST, ending="hang"),),
        200,
        "upstream_idle_timeout",
        provider="brief",
        partial=True,
    ),
    Fault(
        "F52 only comments",
        (streaming(*[b": ping\n\n"] * 1000, every=0.02),),
        504,
        "upstream_first_frame_timeout",
        provider="brief",
    ),
    Fault(
        "F52 a first frame, then comments",
        (streaming(FIRST, *[b": ping\n\n"] * 1000, every=0.02),),
        200,
        "upstream_idle_timeout",
        provider="brief",
        partial=True,
    ),
    Fault("F54 a clean end too early", (streaming(FIRST),), 200, "upstream_truncated", partial=True),
    Fault("F54 an empty stream", (streaming(),), 502, "upstream_truncated"),
    Fault("F55 reset", (streaming(FIRST, ending="rst", every=0.05),), 200, "upstream_truncated", partial=True),
    Fault("F55 reset before anything", (Behaviour(ending="rst", headers=STREAM),), 502, None),
    Fault("F56 a chunk is cut", (streaming(FIRST, ending="fin"),), 200, "upstream_truncated", partial=True),
    Fault(
        "F58 invalid JSON",
        (streaming(FIRST, b'data: {"choices": [\n\n'),),
        200,
        "upstream_protocol_error",
        partial=True,
    ),
    Fault("F58 invalid JSON at once", (streaming(b"data: hello\n\n"),), 502, "upstream_protocol_error"),
    Fault("F58 a number", (streaming(FIRST, b"data: 5\n\n"),), 200, "upstream_truncated", partial=True),
    Fault("F66 an error under status 200", (whole(error_body("busy", code="overloaded")),), 503, "overloaded"),
    Fault(
        "F66 an error as first event",
        (streaming(b"data: " + orjson.dumps(error_body("busy", code=503)) + b"\n\n"),),
        503,
        None,
    ),
    Fault("F67 HTML under status 200", (whole(b"<html>Bad gateway</html>"),), 502, "upstream_protocol_error"),
    Fault("F67 HTML", (whole(b"<html>" + b"x" * 100_000, 502),), 502, None),
    Fault("F67 no body", (Behaviour(status=500, framing="length"),), 500, None),
    Fault("F67 10 MB", (whole(b"{" + b"x" * 10_000_000, 400),), 400, None),
    Fault("F69 401", (whole(error_body("Incorrect API key", code="invalid_api_key"), 401),), 401, "invalid_api_key"),
    Fault("F69 403", (whole(error_body("Not for you"), 403),), 403, None),
    Fault(
        "F70 a redirect",
        (Behaviour(status=307, headers={"location": "http://127.0.0.2:9/"}, framing="length"),),
        502,
        "upstream_redirect",
    ),
    Fault("F76 413 before the body is sent", (whole(error_body("too large"), 413),), 413, None),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.name)
async def test_a_failure_is_told_with_its_status_and_code(house: House, fault: Fault) -> None:
    case = house.case(fault.provider, *fault.script)
    seen = await case.answer()
    assert (seen.status, seen.whole) == (fault.status, True)
    _check_told(seen, fault)
    assert len(await case.noted()) == 1
    assert len(case.exchanges) == 1


def _check_told(seen: Seen, fault: Fault) -> None:
    if fault.partial:
        assert seen.text == "one "
        assert "[DONE]" not in seen.events
        assert [str(one) for one in check_stream(seen.body) if "finish" not in str(one)] == []
    else:
        assert check_error(seen.body) == []
        assert len(seen.body) < 2000
    assert seen.error["code"] == (fault.code or seen.error["code"])
    assert CANARY not in seen.body.decode()


@pytest.mark.parametrize(
    "fault", [one for one in FAULTS if one.name[:3] in ("F54", "F55", "F58", "F66")], ids=lambda one: one.name
)
async def test_the_same_failures_are_told_where_nothing_is_streamed(house: House, fault: Fault) -> None:
    case = house.case(
        fault.provider, *(replace(one, headers=JSON) if one.headers == STREAM else one for one in fault.script)
    )
    seen = await case.answer(stream=False)
    assert seen.status >= 500
    assert check_error(seen.body) == []


HEALED = [one for one in FAULTS if not one.partial and one.status not in (400, 413)]


@pytest.mark.parametrize("fault", HEALED, ids=lambda one: one.name)
async def test_before_the_first_frame_the_next_of_a_chain_answers(house: House, fault: Fault) -> None:
    first, second = house.chain(fault.provider, fault.script, streaming(FIRST, MORE, LAST))
    seen = await house.call(first.ask(model=f"chain-{fault.provider}"))
    assert (seen.status, seen.text, seen.events[-1]) == (200, "one more ", "[DONE]")
    assert seen.headers["x-llmproxy-provider"] == "p"
    assert (len(first.exchanges), len(second.exchanges)) == (1, 1)


async def test_after_the_first_frame_nobody_else_is_asked(house: House) -> None:
    first, second = house.chain("once", (streaming(FIRST),), streaming(FIRST, MORE, LAST))
    seen = await house.call(first.ask(model="chain-once"))
    assert (seen.text, seen.error["code"]) == ("one ", "upstream_truncated")
    assert second.exchanges == []


async def test_f49_refused_is_tried_again_and_then_told(started: Started) -> None:
    text = one_provider(f"http://127.0.0.1:{free_port()}/v1", "retries = 1")
    async with started(text) as house:
        seen = await house.case("p").answer()
        assert (seen.status, seen.error["code"], seen.headers["x-llmproxy-attempts"]) == (
            502,
            "upstream_unreachable",
            "2",
        )
        assert seen.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("address", "code"),
    [("http://name.invalid/v1", "upstream_dns"), ("http://127.0.0.1:1/v1", "upstream_unreachable")],
)
async def test_f49_no_such_host_is_a_502(started: Started, address: str, code: str) -> None:
    text = one_provider(address, "retries = 0")
    async with started(text) as house:
        seen = await house.case("p").answer()
        assert (seen.status, seen.error["code"]) == (502, code)
        assert "127.0.0.1" not in seen.error["message"]


async def test_f50_a_connection_that_is_never_made_is_given_up(started: Started) -> None:
    async with started() as house:
        case = house.case("away")
        seen = await case.answer()
        assert (seen.status, seen.error["code"]) == (502, "upstream_unreachable")


async def test_f50_the_client_hears_pings_while_it_waits(started: Started) -> None:
    async with started(limits="early_ping = 0.1\nping = 0.1") as house:
        case = house.case("p", Behaviour([FIRST, LAST], headers=STREAM, delay=0.5))
        seen = await case.answer()
        assert seen.body.startswith(b": ")
        assert seen.events[-1] == "[DONE]"
        assert check_stream(seen.body) == []


async def test_f53_a_byte_now_and_then_does_not_outlast_the_deadline(house: House) -> None:
    slow = [FIRST[at : at + 1] for at in range(len(FIRST))]
    case = house.case("p", streaming(FIRST, *slow * 10, every=0.02))
    seen = await case.answer(deadline=0.5)
    assert seen.error["code"] == "deadline_exceeded"
    assert (await case.ended())["by"] == "deadline"


@pytest.mark.parametrize("garbage", [b"zz\r\n", b"-5\r\nhello\r\n", b"ffffffffffffffffff\r\n"])
async def test_f57_garbage_in_the_framing_is_a_protocol_error(house: House, garbage: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    before = await house.case("once", raw(head + garbage)).answer()
    assert (before.status, before.error["code"]) == (502, "upstream_protocol_error")
    good = b"%x\r\n%b\r\n" % (len(FIRST), FIRST)
    after = await house.case("once", raw(head + good + garbage)).answer()
    assert (after.status, after.error["code"]) == (200, "upstream_protocol_error")


@pytest.mark.parametrize("size", [600_000, 7_000_000])
async def test_f59_large_events_pass(house: House, size: int) -> None:
    case = house.case("p", streaming(FIRST, sse(chunk({"content": "x" * size}), done=False), LAST))
    assert len((await case.answer()).text) == size + 4


@pytest.mark.parametrize("shape", ["one event", "a line without end"])
async def test_f59_an_event_beyond_the_cap_is_refused_in_bounded_memory(started: Started, shape: str) -> None:
    async with started() as house:
        await house.case("p", streaming(FIRST, LAST)).answer()
        before = house.memory
        endless = b"data: " + b"x" * 100_000_000 if shape == "one event" else b"x" * 100_000_000
        seen = await house.case("p", streaming(FIRST, endless)).answer()
        assert seen.error["code"] == "upstream_protocol_error"
        assert house.memory - before < 120_000_000


SPLIT = "a\u00e4\u20ac\U0001f600"
STRANGE: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda data: data,
    "CRLF": lambda data: data.replace(b"\n", b"\r\n"),
    "CR": lambda data: data.replace(b"\n", b"\r"),
    "BOM": lambda data: b"\xef\xbb\xbf" + data,
    "no space": lambda data: data.replace(b"data: ", b"data:"),
    "fields nobody knows": lambda data: data.replace(b"data: ", b"id: 7\nretry: 10\nevent: message\ndata: "),
    "comments": lambda data: data.replace(b"\n\n", b"\n\n: ping\n\n"),
}


@pytest.mark.parametrize("name", STRANGE)
async def test_f60_every_cut_and_every_line_end_gives_the_same(house: House, name: str) -> None:
    body = STRANGE[name](
        sse(chunk({"role": "assistant", "content": SPLIT}), chunk({"content": SPLIT}), chunk({}, finish="stop"))
    )

    async def cut(at: int) -> str:
        seen = await house.case("p", streaming(body[:at], body[at:])).answer()
        assert check_stream(seen.body) == []
        return seen.text

    for start in range(1, len(body), 60):
        texts = await asyncio.gather(*(cut(at) for at in range(start, min(start + 60, len(body)), 2)))
        assert set(texts) == {SPLIT * 2}
    byte_by_byte = await house.case("p", streaming(*(body[at : at + 1] for at in range(len(body))))).answer()
    assert byte_by_byte.text == SPLIT * 2


async def test_f61_invalid_utf8_is_replaced(house: House) -> None:
    broken = sse(chunk({"content": "a?b"}), done=False).replace(b"?", b"\xff\xc3")
    seen = await house.case("p", streaming(FIRST, broken, LAST)).answer()
    assert seen.text.startswith("one a")
    assert seen.events[-1] == "[DONE]"


async def test_f62_nothing_follows_the_end(house: House) -> None:
    seen = await house.case("p", streaming(FIRST, LAST + MORE + b"data: [DONE]\n\n" + b"data: junk\n\n")).answer()
    assert (seen.text, seen.body.count(b"[DONE]")) == ("one ", 1)


ODD = {
    "choices missing": {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"},
    "choices null": chunk({}) | {"choices": None},
    "delta null": chunk({}) | {"choices": [{"index": 0, "delta": None, "finish_reason": None}]},
    "unknown finish": chunk({}) | {"choices": [{"index": 0, "delta": {}, "finish_reason": "eos"}]},
    "no index": chunk({}) | {"choices": [{"delta": {"content": ""}}]},
    "index gap": chunk({"content": ""}, index=7),
    "content a list": chunk({"content": ["x"]}),
    "usage a string": chunk({}) | {"usage": "many"},
    "F65 usage negative": chunk(None, usage={"prompt_tokens": -1, "completion_tokens": -5, "total_tokens": -6}),
    "F65 usage zero": chunk(None, usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
}


@pytest.mark.parametrize("name", ODD)
async def test_f63_odd_chunks_are_made_regular_or_refused(house: House, name: str) -> None:
    frames = (FIRST, sse(ODD[name], done=False), LAST)
    seen = await house.case("p", streaming(*frames)).answer(stream_options={"include_usage": True})
    assert seen.status == 200
    assert seen.text.startswith("one ")
    assert seen.events[-1] == "[DONE]" or seen.error["code"] == "upstream_protocol_error"
    answered = await house.case("p", streaming(*frames)).answer()
    assert [one for one in check_stream(answered.body, usage=False) if "dense" not in str(one)] == []


async def test_f64_fragments_of_tool_calls_keep_their_order(house: House) -> None:
    def call(index: int, arguments: str, **members: Any) -> bytes:
        return sse(
            chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments}, **members}]}), done=False
        )

    opened = [
        sse(
            chunk(
                {
                    "tool_calls": [
                        {"index": n, "id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": ""}}
                    ]
                }
            ),
            done=False,
        )
        for n in (0, 1)
    ]
    frames = (*opened, call(1, '{"b"'), call(0, '{"a":'), call(1, ":2}"), sse(chunk({}, finish="tool_calls")))
    seen = await house.case("p", streaming(*frames)).answer()
    pieces = [one["choices"][0]["delta"]["tool_calls"][0] for one in seen.events[:-2]]
    assert [(one["index"], one["function"]["arguments"]) for one in pieces][2:] == [
        (1, '{"b"'),
        (0, '{"a":'),
        (1, ":2}"),
    ]


async def test_f65_the_last_usage_counts(house: House) -> None:
    def usage(count: int) -> dict[str, int]:
        return {"prompt_tokens": count, "completion_tokens": count, "total_tokens": 2 * count}

    frames = (
        FIRST,
        sse(chunk({"content": "x"}, usage=usage(1)), done=False),
        sse(chunk({}, finish="stop"), chunk(None, usage=usage(9))),
    )
    case = house.case("p", streaming(*frames))
    await case.answer()
    assert (await case.noted())[0]["tokens_out"] == 9


async def test_f65_without_usage_the_count_is_an_estimate(house: House) -> None:
    case = house.case("p", streaming(FIRST, LAST))
    await case.answer()
    assert (await case.noted())[0]["estimated"] is True


async def test_f67_a_compressed_error_is_read(house: House) -> None:
    packed = gzip.compress(orjson.dumps(error_body("out of luck")))
    case = house.case("once", Behaviour([packed], 400, {**JSON, "content-encoding": "gzip"}, framing="length"))
    assert (await case.answer()).error["message"] == "out of luck"


def in_seconds(count: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=count), usegmt=True)


WAITS = {
    "seconds": ({"retry-after": "1"}, 3, 0.9),
    "milliseconds": ({"retry-after-ms": "400"}, 3, 0.4),
    "a date": ({"retry-after": in_seconds(-5)}, 3, 0.0),
    "garbage": ({"retry-after": "soon"}, 3, 0.0),
    "negative": ({"retry-after": "-3"}, 3, 0.0),
    "a day": ({"retry-after": "86400"}, 1, 0.0),
}


@pytest.mark.parametrize("name", WAITS)
async def test_f68_retry_after_is_read_obeyed_and_capped(house: House, name: str) -> None:
    headers, attempts, least = WAITS[name]
    busy = Behaviour([orjson.dumps(error_body("slow down"))], 429, {**JSON, **headers}, framing="length")
    case = house.case("p", *[busy] * (attempts - 1), streaming(FIRST, LAST) if attempts > 1 else busy)
    seen = await case.answer()
    assert seen.status == (200 if attempts > 1 else 429)
    assert len(case.exchanges) == attempts
    waited = case.exchanges[-1].received_at - case.exchanges[0].received_at
    assert waited >= least * (attempts - 1)
    if name == "a day":
        assert seen.headers["retry-after"] == "86400"


async def test_f68_a_wait_that_one_was_told_is_kept_by_all(house: House) -> None:
    first = house.case("p", whole(error_body(), 429, Retry_After="1"), streaming(FIRST, LAST))
    second = replace(first, id=f"{first.id}-second")
    async with await first.send() as wire:
        await first.reaches("backing_off")
        async with await second.send() as other:
            await second.reaches("backing_off")
            assert len(first.exchanges) == 1
            assert [(await one.answer()).text for one in (wire, other)] == ["one ", "one "]
    assert (await second.state())["attempts"] == 1


async def test_f70_nothing_goes_where_a_redirect_points(started: Started) -> None:
    async with started() as house:
        elsewhere = await asyncio.start_server(lambda *_: arrived.append(1), "127.0.0.1", 0)
        arrived: list[int] = []
        port = elsewhere.sockets[0].getsockname()[1]
        for status in (301, 302, 303, 307, 308):
            there = Behaviour(status=status, headers={"location": f"http://127.0.0.1:{port}/"}, framing="length")
            seen = await house.case("once", there).answer()
            assert (seen.status, seen.error["code"]) == (502, "upstream_redirect")
            assert "location" not in seen.headers
        elsewhere.close()
        assert arrived == []


@pytest.mark.parametrize(("count", "status"), [(5, 200), (50, 502)])
async def test_f71_interim_answers_are_passed_over_and_bounded(house: House, count: int, status: int) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * count
    body = FIRST + LAST
    real = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    assert (await house.case("once", raw(interim + real)).answer()).status == status


async def test_f72_headers_of_the_provider_stay_behind(house: House) -> None:
    headers = {
        "set-cookie": "a=b",
        "x-evil": "1",
        "connection": "x-evil, keep-alive",
        "proxy-authenticate": "Basic",
        "access-control-allow-origin": "*",
        "server": "secret/1.0",
        "x-request-id": "theirs",
        "x-ratelimit-remaining-requests": "7",
        "location": "http://127.0.0.2/",
    }
    case = house.case("p", Behaviour([FIRST, LAST], headers={**STREAM, **headers}))
    seen = await case.answer()
    assert seen.headers["x-ratelimit-remaining-requests"] == "7"
    assert seen.headers["x-request-id"] == case.id
    assert seen.headers["server"] == "llmproxy"
    assert not seen.headers.keys() & {
        "set-cookie",
        "x-evil",
        "proxy-authenticate",
        "access-control-allow-origin",
        "location",
    }


async def test_f72_a_head_beyond_all_measure_is_refused(house: House) -> None:
    seen = await house.case("once", Behaviour([FIRST, LAST], headers={**STREAM, "x-a": "a" * 100_000})).answer()
    assert (seen.status, seen.error["code"]) == (502, "upstream_protocol_error")


async def test_f73_a_connection_the_provider_closed_while_idle_is_nobodys_failure(house: House) -> None:
    case = house.case("once", streaming(FIRST, LAST))
    for _ in range(100):
        assert (await case.answer()).status == 200
        await asyncio.sleep(0.002)
        await house.provider.hang_up()
    assert len(case.exchanges) == 100


async def test_f74_no_tls_is_said_and_never_done_without(started: Started) -> None:
    text = one_provider("https://127.0.0.1:PORT/v1", "timeouts = { connect = 0.5 }")
    async with started(text) as house:
        seen = await house.case("p").answer()
        assert (seen.status, seen.error["code"], seen.headers["x-llmproxy-attempts"]) == (502, "upstream_tls", "1")
        assert house.provider.exchanges == []


async def test_f75_no_compression_is_asked_for_and_a_bomb_is_refused(started: Started) -> None:
    async with started() as house:
        bomb = gzip.compress(FIRST + b": " + b"0" * 300_000_000, 9)
        case = house.case("once", Behaviour([bomb], headers={**STREAM, "content-encoding": "gzip"}))
        before = house.memory
        seen = await case.answer()
        assert seen.error["code"] == "upstream_protocol_error"
        assert case.exchanges[0].headers["accept-encoding"] == "identity"
        assert house.memory - before < 100_000_000


async def test_f75_a_compressed_stream_is_read_all_the_same(house: House) -> None:
    packed = gzip.compress(FIRST + MORE + LAST)
    case = house.case("p", Behaviour([packed[:40], packed[40:]], headers={**STREAM, "content-encoding": "gzip"}))
    assert (await case.answer()).text == "one more "


async def test_f77_a_flapping_provider_is_not_stormed(started: Started) -> None:
    async with started(limits="retry_budget = 0.2") as house:
        down = whole(error_body(), 503)
        cases = [house.case("p", down) for _ in range(60)]
        await asyncio.gather(*(case.answer() for case in cases))
        asked = sum(len(case.exchanges) for case in cases)
        assert 60 < asked <= 60 * 1.2, "a fifth of the traffic"


async def test_f78_when_all_are_down_the_refusal_is_fast_and_the_recovery_too(started: Started) -> None:
    text = one_provider(FAKE, "retries = 0", "breaker = { failures = 3, cooldown = 0.4 }")
    async with started(text) as house:
        for _ in range(3):
            assert (await house.case("p", whole(error_body(), 503)).answer()).status == 503
        refused = house.case("p", streaming(FIRST, LAST))
        seen = await refused.answer()
        assert (seen.status, seen.error["code"], seen.headers["retry-after"]) == (503, "upstream_unavailable", "1")
        assert refused.exchanges == []
        assert (await house.call(get("/readyz"))).json["providers"]["p"] == "open"
        assert await soon(lambda: _answered(house))
        assert (await house.call(get("/readyz"))).json["providers"]["p"] == "closed"


async def test_f78_a_client_that_leaves_is_no_failure_of_the_provider(started: Started) -> None:
    text = one_provider(FAKE, "breaker = { failures = 2 }")
    async with started(text) as house:
        for _ in range(4):
            case = house.case("p", SLOW)
            wire = await case.send()
            await case.arrived()
            wire.rst()
            await case.ended()
        assert (await house.call(get("/readyz"))).json["providers"]["p"] == "closed"


async def _answered(house: House) -> bool:
    return (await house.case("p", streaming(FIRST, LAST)).answer()).status == 200


@pytest.mark.parametrize("stream", [True, False])
async def test_f80_http_1_0_works(house: House, stream: bool) -> None:
    body = FIRST + MORE + LAST if stream else orjson.dumps(completion("one more "))
    kind = b"text/event-stream" if stream else b"application/json"
    case = house.case("p", raw(b"HTTP/1.0 200 OK\r\ncontent-type: " + kind + b"\r\n\r\n" + body))
    seen = await case.answer(stream=stream)
    text = seen.text if stream else seen.json["choices"][0]["message"]["content"]
    assert text == "one more "
    await case.exchanges[0].closed.wait()


LISTS = {
    "not JSON": b"<html>",
    "empty": b"",
    "a number": b"5",
    "no list": b'{"data":5}',
    "odd entries": b'{"data":[5,null,[],{"id":5},{"id":""},{"created":1}]}',
    "odd members": b'{"data":[{"id":"a","created":"x","owned_by":5},{"id":"b","created":1e300},{"id":"c","created":-1.5}]}',
    "odd prices": b'{"data":[{"id":"a","pricing":{"prompt":"NaN","completion":[1]},"context_length":"many"}]}',
    "the same twice": b'{"data":[{"id":"a"},{"id":"a"}]}',
    "a long name": b'{"data":[{"id":"' + b"a" * 100_000 + b'"}]}',
}


@pytest.mark.parametrize("adapter", ["compatible", "gemini", "openrouter"])
async def test_f92_no_list_of_models_ends_all_lists(started: Started, adapter: str) -> None:
    tables = [
        f'[providers.p{number}]\nadapter = "{adapter}"\nbase_url = "http://127.0.0.1:PORT/{number}"\napi_key = "k"\n'
        for number in range(len(LISTS))
    ]

    def route(exchange: Exchange) -> Behaviour | None:
        number = exchange.path.strip("/").partition("/")[0]
        return whole(list(LISTS.values())[int(number)]) if number.isdigit() else None

    async with started("\n".join(tables), route=route) as house:
        seen = await house.call(get("/v1/models"))
        assert seen.status == 200
        assert check_models(seen.body) == []
        assert (await house.call(get("/api/info"))).status == 200
        assert house.gateway.events("internal_error") == []
