"""Two providers for one answer: who is asked when, who gives it, and what becomes of the other."""

from __future__ import annotations

import asyncio

import pytest

from llmproxy.core.chat import Chat
from llmproxy.core.errors import BadRequest, UpstreamError
from llmproxy.core.trace import Trace
from llmproxy.resilience.hedging import HedgingOpener
from llmproxy.testing.jumping_clock import run
from tests.core.openers import Scripted, taken

SECONDS = 2.0


def asking() -> Chat:
    return Chat({"model": "chain"}, "chain", trace=Trace("id"))


def hedged(*openers: Scripted) -> HedgingOpener:
    return HedgingOpener([(opener, f"m{number}") for number, opener in enumerate(openers)], seconds=SECONDS, attempts=6)


def test_a_provider_that_begins_in_time_is_the_only_one_asked() -> None:
    near, far = Scripted(), Scripted()
    assert run(taken(hedged(near, far), asking())) == [b"frame"]
    assert (len(near.opened), len(far.opened)) == (1, 0)


def test_a_slow_provider_is_overtaken_and_hung_up_on() -> None:
    async def play() -> tuple[list[bytes], float]:
        begun = asyncio.get_running_loop().time()
        return await taken(hedged(near, far), chat), asyncio.get_running_loop().time() - begun

    near, far, chat = Scripted([asyncio.Event()]), Scripted([[b"far"]]), asking()
    frames, seconds = run(play())
    assert frames == [b"far"]
    assert seconds == pytest.approx(SECONDS)
    assert near.now == 0
    assert chat.trace.attempts == 2


def test_a_failure_has_the_next_one_asked_at_once() -> None:
    async def play() -> tuple[list[bytes], float]:
        begun = asyncio.get_running_loop().time()
        return await taken(hedged(near, far), asking()), asyncio.get_running_loop().time() - begun

    near, far = Scripted([UpstreamError("down", status=503)]), Scripted([[b"far"]])
    assert run(play()) == ([b"far"], 0.0)


def test_a_failure_that_no_other_provider_would_mend_is_told() -> None:
    near, far = Scripted([UpstreamError("too long", status=400, try_elsewhere=False)]), Scripted()
    with pytest.raises(UpstreamError, match="too long"):
        run(taken(hedged(near, far), asking()))
    assert far.opened == []


def test_what_one_provider_could_never_take_another_may() -> None:
    near, far = Scripted([BadRequest("not here")]), Scripted([[b"far"]])
    assert run(taken(hedged(near, far), asking())) == [b"far"]


def test_the_last_failure_is_told_where_nobody_answers() -> None:
    near, far = Scripted([UpstreamError("near", status=503)]), Scripted([UpstreamError("far", status=502)])
    with pytest.raises(UpstreamError, match="far"):
        run(taken(hedged(near, far), asking()))


def test_a_failure_in_mid_answer_is_no_reason_to_ask_again() -> None:
    near, far = Scripted([[b"begun", UpstreamError("broke", status=502)]]), Scripted()
    with pytest.raises(UpstreamError, match="broke"):
        run(taken(hedged(near, far), asking()))
    assert far.opened == []


def test_a_stop_hangs_up_on_all_of_them() -> None:
    async def play() -> None:
        task = asyncio.get_running_loop().create_task(taken(hedged(near, far), asking()))
        await asyncio.sleep(SECONDS + 1)
        assert (near.now, far.now) == (1, 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    near, far = Scripted([asyncio.Event()]), Scripted([asyncio.Event()])
    run(play())
    assert (near.now, far.now) == (0, 0)
