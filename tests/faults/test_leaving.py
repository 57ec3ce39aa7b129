"""What becomes of a request whose client leaves: by default it ends; by its wish it is finished, or kept to be continued."""

from __future__ import annotations

import asyncio
import random
import signal

import pytest

from llmproxy.testing import Behaviour, check_chat, chunk, completion, sse
from tests.faults.conftest import KEY_A, KEY_B, KEYS, Started
from tests.faults.house import FIRST, JSON, LAST, MORE, PATIENCE, Case, House, soon, streaming, whole
from tests.faults.phases import SLOW
from tests.faults.wire import Seen, Wire, get, joined, post

USAGE = {"prompt_tokens": 3, "completion_tokens": 42, "total_tokens": 45}
SLOWLY = streaming(FIRST, *[MORE] * 10, sse(chunk({}, finish="stop"), chunk(None, usage=USAGE)), every=0.02)
ALL = "one " + "more " * 10


def asking(case: Case, policy: str, *, stream: bool = True) -> bytes:
    body = {"model": case.model, "stream": stream, "messages": [{"role": "user", "content": "?"}]}
    return post("/v1/chat/completions", body, X_Request_ID=case.id, X_LLMProxy_On_Disconnect=policy)


def asking_by(case: Case, key: str) -> bytes:
    body = {"model": case.model, "stream": True, "messages": [{"role": "user", "content": "?"}]}
    return post("/v1/chat/completions", body, X_Request_ID=case.id, Authorization=f"Bearer {key}")


async def left(case: Case, policy: str, after: bytes) -> None:
    """Asks, reads up to `after`, and leaves."""
    async with asyncio.timeout(PATIENCE):
        wire = await Wire.open(case.house.port)
        await wire.send(asking(case, policy))
        await wire.until(after)
        wire.rst()


async def resumed(house: House, case: Case, after: int = 0, **headers: str) -> Seen:
    return await house.call(get(f"/v1/requests/{case.id}/stream?from={after}", **headers))


async def test_drain_finishes_for_exact_usage(house: House) -> None:
    case = house.case("p", SLOWLY)
    await left(case, "drain", b'"one "')
    (line,) = await case.noted()
    assert (line["outcome"], line["tokens_out"]) == ("ok", 42)
    assert "estimated" not in line
    assert case.exchanges[0].sent.is_set()


async def test_drain_finishes_what_had_not_begun(house: House) -> None:
    case = house.case("p", Behaviour(SLOWLY.pieces, headers=SLOWLY.headers, delay=0.2))
    wire = await Wire.open(house.port)
    await wire.send(asking(case, "drain"))
    await case.arrived()
    wire.rst()
    assert [line["outcome"] for line in await case.noted()] == ["ok"]


async def test_drain_finishes_what_is_not_streamed(house: House) -> None:
    case = house.case("p", Behaviour(whole(completion("Hello")).pieces, headers=JSON, delay=0.2, framing="length"))
    wire = await Wire.open(house.port)
    await wire.send(asking(case, "drain", stream=False))
    await case.arrived()
    wire.rst()
    (line,) = await case.noted()
    assert (line["outcome"], line["tokens_out"]) == ("ok", 1)


async def test_drain_of_a_provider_that_fails_is_a_failure(house: House) -> None:
    case = house.case("p", streaming(FIRST, *[MORE] * 5, every=0.02))
    await left(case, "drain", b'"one "')
    assert [line["outcome"] for line in await case.noted()] == ["truncated"]


@pytest.mark.parametrize("policy", ["drain", "detach"])
async def test_who_drains_or_is_detached_can_still_be_stopped(house: House, policy: str) -> None:
    case = house.case("p", streaming(FIRST, ending="hang"))
    await left(case, policy, b'"one "')
    seen = await house.call(post(f"/v1/requests/{case.id}/cancel", b""))
    assert (seen.json["state"], seen.json["by"]) == ("cancelled", "api")
    await case.exchanges[0].closed.wait()


@pytest.mark.parametrize("policy", ["drain", "detach"])
async def test_who_stays_gets_what_everybody_gets(house: House, policy: str) -> None:
    plain, wished = house.case("p", SLOWLY), house.case("p", SLOWLY)
    expected = await plain.answer()
    seen = await house.call(asking(wished, policy))
    assert (seen.status, seen.events) == (200, expected.events)
    assert seen.headers.keys() == expected.headers.keys()


async def test_detach_keeps_the_answer_for_whoever_comes_back(house: House) -> None:
    case = house.case("p", SLOWLY)
    await left(case, "detach", b'"one "')
    seen = await resumed(house, case)
    assert (seen.text, seen.events[-1]) == (ALL, "[DONE]")
    assert (await resumed(house, case)).body == seen.body, "and for whoever comes back again"


@pytest.mark.parametrize("by", ["query", "header"])
async def test_a_resumed_stream_has_no_event_twice_and_none_missing(house: House, by: str) -> None:
    case = house.case("p", SLOWLY)
    await left(case, "detach", b"id: 4\n")
    all_of_it = (await resumed(house, case)).body
    for after in range(all_of_it.count(b"id: ")):
        rest = await (resumed(house, case, after) if by == "query" else resumed(house, case, Last_Event_ID=str(after)))
        assert all_of_it.endswith(rest.body)
        assert rest.body.startswith(b"id: %d\n" % (after + 1))


async def test_several_readers_at_once_see_the_same(house: House) -> None:
    case = house.case("p", SLOWLY)
    await left(case, "detach", b'"one "')
    seen = await asyncio.gather(*(resumed(house, case) for _ in range(5)))
    assert {one.text for one in seen} == {ALL}


async def test_detach_keeps_an_answer_that_is_not_streamed(house: House) -> None:
    case = house.case("p", whole(completion("Hello")))
    seen = await house.call(asking(case, "detach", stream=False))
    assert check_chat(seen.body) == []
    assert seen.headers["x-llmproxy-provider"] == "p"
    kept = await resumed(house, case)
    assert kept.events == [seen.json]


async def test_a_detached_request_that_fails_at_once_says_so_by_status(house: House) -> None:
    case = house.case("once", whole({"error": {"message": "no"}}, 503))
    for stream in (True, False):
        seen = await house.call(asking(case, "detach", stream=stream))
        assert (seen.status, seen.error["message"]) == (503, "no")


async def test_a_detached_request_that_breaks_says_so_to_every_reader(house: House) -> None:
    case = house.case("p", streaming(FIRST))
    seen = await house.call(asking(case, "detach"))
    for one in (seen, await resumed(house, case)):
        assert (one.text, one.error["code"], "[DONE]" in one.events) == ("one ", "upstream_truncated", False)


async def test_without_the_wish_there_is_nothing_to_resume_and_no_id(house: House) -> None:
    case = house.case("p", SLOWLY)
    seen = await case.answer()
    assert b"id: " not in seen.body
    assert (await resumed(house, case)).status == 409


async def test_f102_what_no_longer_is_kept_is_said(started: Started) -> None:
    async with started(limits="tape_bytes = 1000") as house:
        case = house.case("p", SLOWLY)
        await left(case, "detach", b'"one "')
        await case.noted()
        seen = await resumed(house, case)
        assert (seen.status, seen.error["code"]) == (409, "stream_gone")
        assert (await resumed(house, case, seen.error["oldest"] - 1)).events[-1] == "[DONE]"


@pytest.mark.parametrize("position", ["-1", "1.5", "x", "9" * 30, "%00", "%D9%A1"])
async def test_f102_a_position_that_is_none_is_refused(house: House, position: str) -> None:
    case = house.case("p", SLOWLY)
    await left(case, "detach", b'"one "')
    seen = await house.call(get(f"/v1/requests/{case.id}/stream?from={position}"))
    assert (seen.status, seen.error["param"]) == (400, "from")


async def test_f102_a_key_that_was_taken_away_opens_nothing(started: Started) -> None:
    async with started(keys=KEYS) as house:
        case = house.case("p", SLOWLY)
        secret = {"Authorization": f"Bearer {KEY_A}"}
        await house.call(asking(case, "detach").replace(b"Host:", f"Authorization: Bearer {KEY_A}\r\nHost:".encode()))
        assert (await resumed(house, case, 0, **secret)).status == 200
        file = house.gateway.folder / "llmproxy.toml"
        file.write_text(file.read_text().replace(KEY_A, "another-secret-of-some-length"))
        house.gateway.process.send_signal(signal.SIGHUP)
        await soon(lambda: _reloaded(house))
        assert (await resumed(house, case, 0, **secret)).status == 401


async def test_f103_a_stream_that_is_cut_again_and_again_is_whole(house: House) -> None:
    dice, got, last, cuts = random.Random(103), b"", 0, 0
    case = house.case("p", streaming(FIRST, *[MORE] * 500, LAST, every=0.002))
    await left(case, "detach", b"id: 1\n")
    while last < 500:
        async with await Wire.open(house.port) as wire:
            await wire.send(get(f"/v1/requests/{case.id}/stream?from={last}"))
            got += await _events_before(wire, last := min(500, last + dice.randint(1, 5)))
            wire.rst()
        cuts += 1
    assert cuts >= 133
    got += (await resumed(house, case, last)).body
    assert got == (await resumed(house, case)).body
    assert got.count(b"id: ") == int(got.rpartition(b"id: ")[2].partition(b"\n")[0]) > 500


async def _events_before(wire: Wire, last: int) -> bytes:
    """Those of an answer that has just begun, up to and with number `last`."""
    read = await wire.until(b"id: %d\n" % (last + 1))
    return joined(read.partition(b"\r\n\r\n")[2]).partition(b"id: %d\n" % (last + 1))[0]


@pytest.mark.parametrize(("wish", "status"), [("sometimes", 400), ("", 400)])
async def test_an_unknown_wish_is_refused(house: House, wish: str, status: int) -> None:
    assert (await house.call(asking(house.case("p", SLOWLY), wish))).status == status


async def test_f102_a_key_may_be_kept_from_detaching_and_others_from_its_stream(guarded: House) -> None:
    case, other = (guarded.case("p", SLOWLY, prefix="allowed-") for _ in range(2))

    async def asked(key: str, policy: str) -> Seen:
        request = asking(case if key == KEY_A else other, policy)
        return await guarded.call(request.replace(b"Host:", b"Authorization: Bearer " + key.encode() + b"\r\nHost:"))

    assert (await asked(KEY_B, "detach")).error["code"] == "detach_forbidden"
    assert (await asked(KEY_B, "cancel")).status == 200
    assert (await asked(KEY_A, "detach")).status == 200
    own = await resumed(guarded, case, Authorization=f"Bearer {KEY_A}")
    foreign = await resumed(guarded, case, Authorization=f"Bearer {KEY_B}")
    assert (own.status, foreign.status, foreign.error["code"]) == (200, 404, "request_not_found")


async def test_no_more_than_allowed_go_on_without_their_clients(started: Started) -> None:
    async with started(limits="max_detached = 1") as house:
        first = house.case("p", SLOW)
        async with await Wire.open(house.port) as wire:
            await wire.send(asking(first, "drain"))
            await first.arrived()
            seen = await house.call(asking(house.case("p", SLOWLY), "detach"))
            assert (seen.status, seen.error["code"]) == (429, "too_many_detached")
        await house.call(post(f"/v1/requests/{first.id}/cancel", b""))


async def test_the_config_may_wish_for_everybody(started: Started) -> None:
    async with started(limits='on_disconnect = "drain"') as house:
        case = house.case("p", SLOWLY)
        async with await case.send() as wire:
            await wire.until(b'"one "')
            wire.rst()
        assert [line["outcome"] for line in await case.noted()] == ["ok"]


async def test_a_slow_reader_of_a_detached_answer_does_not_slow_its_provider(house: House) -> None:
    big = [sse(chunk({"content": "x" * 60_000}), done=False)] * 60
    case = house.case("p", streaming(*big, sse(chunk({}, finish="stop"))))
    async with await Wire.open(house.port, receive_buffer=4096) as wire:
        await wire.send(asking(case, "detach"))
        assert [line["outcome"] for line in await case.noted()] == ["ok"]


async def test_a_slow_reader_of_a_detached_answer_who_goes_on_reading_gets_all_of_it(started: Started) -> None:
    big = [sse(chunk({"content": "x" * 60_000}), done=False)] * 60
    async with started(limits="slow_reader = 0.5") as house:
        case = house.case("p", streaming(*big, sse(chunk({}, finish="stop"))))
        async with await Wire.open(house.port, receive_buffer=4096) as wire:
            await wire.send(asking(case, "detach"))
            for _ in range(25):  # altogether longer than the patience with one that does not read at all
                await wire.more(4000)
                await asyncio.sleep(0.04)
            assert (await wire.answer()).text == "x" * 60_000 * 60


async def test_readers_of_a_detached_answer_who_take_nothing_are_cut_off_and_cost_little(started: Started) -> None:
    big = [sse(chunk({"content": "x" * 60_000}), done=False)] * 60
    async with started(limits="slow_reader = 1.0") as house:
        case = house.case("p", streaming(*big, sse(chunk({}, finish="stop"))))
        await house.call(asking(case, "detach"))

        async def nobody() -> bool:
            return house.clients == 0

        await soon(nobody)
        before = house.memory
        wires = [await Wire.open(house.port, receive_buffer=4096) for _ in range(20)]
        for wire in wires:
            await wire.send(get(f"/v1/requests/{case.id}/stream"))
        for wire in wires:
            await wire.until(b"\r\n\r\n")  # all of them are served, and read no further

        await soon(nobody)
        assert house.memory - before < len(wires) * 2_500_000
        for wire in wires:
            assert len(await wire.rest()) < 60_000 * 60
            wire.fin()


async def test_shutdown_stops_the_detached_too(started: Started) -> None:
    async with started(drain_timeout=0.2) as house:
        case = house.case("p", streaming(FIRST, ending="hang"))
        await left(case, "detach", b'"one "')
        house.gateway.process.terminate()
        assert await asyncio.to_thread(house.gateway.process.wait, 10) == 0
        assert [line["by"] for line in await case.noted()] == ["drain"]


async def test_a_key_that_is_taken_away_takes_its_running_requests_along(started: Started) -> None:
    async with started(keys=KEYS) as house:
        case = house.case("p", streaming(FIRST, ending="hang"))
        async with await Wire.open(house.port) as wire:
            await wire.send(asking_by(case, KEY_A))
            await wire.until(b'"one "')
            file = house.gateway.folder / "llmproxy.toml"
            file.write_text(
                file.read_text().replace(f'name = "a"\n    secret = "{KEY_A}"', 'name = "other"\n    secret = "x"')
            )
            house.gateway.process.send_signal(signal.SIGHUP)
            assert (await wire.answer()).error["by"] == "key_revoked"
        await case.exchanges[-1].closed.wait()


async def test_a_reload_gives_no_further_places(started: Started) -> None:
    async with started() as house:
        first, second = (house.case("one", streaming(FIRST, ending="hang")) for _ in range(2))
        async with await Wire.open(house.port) as wire, await Wire.open(house.port) as other:
            await wire.send(first.ask())
            await wire.until(b'"one "')
            house.gateway.process.send_signal(signal.SIGHUP)
            await soon(lambda: _reloaded(house))
            await other.send(second.ask())
            await second.reaches("queued")
            assert second.exchanges == []
            await house.call(post(f"/v1/requests/{first.id}/cancel", b""))
            await other.until(b'"one "')


async def _reloaded(house: House) -> bool:
    return bool(house.gateway.events("config_reloaded"))
