"""`n > 1` with a provider that returns one choice: numbered, in order, their usage summed, all or none of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from llmproxy.core.errors import BadRequest, Dropped, Unreachable
from llmproxy.core.usage import Usage, summed
from llmproxy.resilience.choices import ChoicesOpener
from llmproxy.testing import check_chat, check_stream, chunk, read_stream, sse
from tests.core.kit import chat
from tests.core.openers import Act, Scripted, settled, taken

USAGE = {
    "prompt_tokens": 3,
    "completion_tokens": 2,
    "total_tokens": 5,
    "completion_tokens_details": {"reasoning_tokens": 1},
}
DONE = b"data: [DONE]\n\n"


def answer(*words: str, id: str = "chatcmpl-1") -> list[bytes]:
    """The frames of one reply, one for each word."""
    frames = [sse(chunk({"role": "assistant", "content": ""}, id=id), done=False)]
    frames += [sse(chunk({"content": word}, id=id), done=False) for word in words]
    return [*frames, sse(chunk({}, finish="stop", id=id), chunk(id=id, usage=USAGE))]


def fanned(*acts: Act, usage: Usage | None = None) -> tuple[ChoicesOpener, Scripted]:
    inner = Scripted(acts, usage=usage)
    return ChoicesOpener(inner), inner


async def streamed(acts: Sequence[Act], usage: Usage | None = None, **asked: Any) -> bytes:
    return b"".join(await taken(fanned(*acts, usage=usage)[0], chat(n=len(acts), **asked)))


async def test_each_choice_has_its_number_and_its_text_in_order() -> None:
    out = await streamed([answer("a", "A"), answer("b", "B", id="chatcmpl-2"), answer("c")])
    assert check_stream(out, choices=3) == []
    said = read_stream(out)
    assert [said.choice(index).text for index in range(3)] == ["aA", "bB", "c"]


async def test_they_interleave_as_they_come() -> None:
    late = asyncio.Event()
    first, *rest = answer("a")
    opener, _ = fanned([first, late, *rest], answer("b"))
    async with opener.open(chat(n=2)) as reply:
        frames = aiter(reply.frames)
        seen = [await anext(frames) for _ in range(4)]
        late.set()
        seen += [frame async for frame in frames]
    assert read_stream(b"".join(seen[:4])).choice(1).text == "b"
    assert read_stream(b"".join(seen)).choice(0).text == "a"


@pytest.mark.parametrize("asked", [{}, {"stream_options": {"include_usage": True}}])
async def test_usage_is_the_sum_and_told_if_asked_for(asked: dict[str, Any]) -> None:
    out = await streamed([answer("a"), answer("b")], Usage.parse(USAGE), **asked)
    assert check_stream(out, include_usage=bool(asked), choices=2) == []
    total = {
        "prompt_tokens": 6,
        "completion_tokens": 4,
        "total_tokens": 10,
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    assert read_stream(out).usage == (total if asked else None)


async def test_usage_that_one_of_them_lacks_is_no_usage() -> None:
    out = await streamed([answer("a"), answer("b")], None, stream_options={"include_usage": True})
    assert read_stream(out).usage is None


async def test_without_a_stream_it_is_one_answer() -> None:
    out = await streamed([answer("a"), answer("b")], Usage.parse(USAGE), stream=False)
    assert check_chat(out) == []
    whole = orjson.loads(out)
    assert [one["message"]["content"] for one in whole["choices"]] == ["a", "b"]
    assert whole["usage"]["total_tokens"] == 10


async def test_each_is_asked_for_one_streamed_choice_with_usage() -> None:
    opener, inner = fanned(answer("a"), answer("b"))
    await taken(opener, chat(n=2, stream=False, seed=1))
    for asked in inner.opened:
        assert "n" not in asked.body
        assert (asked.stream, asked.include_usage, asked.body["seed"]) == (True, True, 1)


async def test_more_than_can_be_asked_at_once_is_refused() -> None:
    opener, inner = fanned(answer("a"))
    with pytest.raises(BadRequest) as caught:
        await taken(opener, chat(n=9))
    assert (caught.value.param, inner.opened) == ("n", [])


@pytest.mark.parametrize("order", [1, -1])
async def test_one_that_fails_to_begin_fails_all_before_the_first_frame(order: int) -> None:
    acts: list[Act] = [asyncio.Event(), Unreachable("no"), answer("a")]
    opener, inner = fanned(*acts[::order])
    with pytest.raises(Unreachable):
        async with opener.open(chat(n=3)):
            raise AssertionError("nothing may have been given")
    assert inner.now == 0


async def test_one_that_breaks_in_the_middle_ends_all_after_what_came() -> None:
    opener, inner = fanned([*answer("a")[:2], Dropped("broke")], [*answer("b")[:2], asyncio.Event()])
    seen: list[bytes] = []

    async def reads() -> None:
        async with opener.open(chat(n=2)) as reply:
            async for frame in reply.frames:
                seen.append(frame)

    with pytest.raises(Dropped):
        await reads()
    assert read_stream(b"".join(seen)).choice(0).text == "a"
    assert DONE not in seen
    assert inner.now == 0


async def test_a_bug_in_one_of_them_does_not_leave_the_client_waiting() -> None:
    opener, inner = fanned([*answer("a")[:2], ZeroDivisionError("ours")], [*answer("b")[:2], asyncio.Event()])
    task = asyncio.ensure_future(taken(opener, chat(n=2)))
    await settled()
    assert task.done()
    assert isinstance(task.exception(), ZeroDivisionError)
    assert inner.now == 0


async def test_a_bug_before_the_first_frame_is_told_as_one() -> None:
    opener, inner = fanned(ZeroDivisionError("ours"), asyncio.Event())
    task = asyncio.ensure_future(taken(opener, chat(n=2)))
    await settled()
    assert task.done()
    assert not task.cancelled()
    assert isinstance(task.exception(), ZeroDivisionError)
    assert inner.now == 0


@pytest.mark.parametrize("acts", [[asyncio.Event(), asyncio.Event()], [answer("a")[:2], asyncio.Event()]])
async def test_a_cancel_while_they_begin_closes_all(acts: list[Act]) -> None:
    opener, inner = fanned(*acts)
    task = asyncio.ensure_future(taken(opener, chat(n=2)))
    await settled()
    assert inner.now >= 1
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert inner.now == 0


async def test_leaving_in_the_middle_closes_all() -> None:
    stays: Act = [*answer("a")[:2], asyncio.Event()]
    opener, inner = fanned(stays, stays, stays)
    async with opener.open(chat(n=3)) as reply:
        await anext(aiter(reply.frames))
        assert inner.now == 3
    assert inner.now == 0


async def test_a_client_who_does_not_read_is_not_read_for() -> None:
    given = 0

    class Counting(list[bytes]):
        def __iter__(self) -> Any:
            nonlocal given
            for frame in answer(*["x"] * 200):
                given += 1
                yield frame

    opener, _ = fanned(Counting())
    async with opener.open(chat(n=2)):
        await settled()
        before = given
        await settled()
        assert given == before < 60


@pytest.mark.parametrize(
    ("one", "other", "total"),
    [
        ({"a": 1}, {"a": 2, "b": 3}, {"a": 3, "b": 3}),
        ({"a": 0.5}, {"a": 1}, {"a": 1.5}),
        ({"d": {"x": 1, "y": None}}, {"d": {"x": 1, "y": 2}}, {"d": {"x": 2, "y": 2}}),
        ({"d": None}, {"d": {"x": 1}}, {"d": {"x": 1}}),
        ({"byok": False, "tier": "a"}, {"byok": True, "tier": "b"}, {"byok": False, "tier": "a"}),
    ],
)
def test_usage_is_summed_member_by_member(one: Any, other: Any, total: Any) -> None:
    assert summed(one, other) == total
