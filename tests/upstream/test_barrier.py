"""A mistake of an adapter's, and whatever a provider puts into a member, is the failure of one attempt."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import orjson
import pytest

from llmproxy.adapter_kit import Account, Chat, Environment, OpenAICompatible
from llmproxy.config import Timeouts
from llmproxy.core.errors import GatewayError, Malformed, UpstreamError
from llmproxy.core.trace import Trace
from llmproxy.testing import check_chat, check_stream
from llmproxy.upstream.provider import Upstream
from llmproxy.upstream.shown_headers import passed_on

ODD: tuple[Any, ...] = (0, -1, 1.5, True, "x", "", None, [], {}, [1], [None], [[]], {"a": 1}, {"index": "x"})
CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
DELTA = {
    "role": "assistant", "content": "Hi", "reasoning_content": "hm", "refusal": None, "tool_calls": [CALL],
    "annotations": [{"type": "url_citation", "url_citation": {"url": "https://example.com", "title": "t"}}],
}  # fmt: skip
USAGE = {
    "prompt_tokens": 1,
    "completion_tokens": 2,
    "total_tokens": 3,
    "completion_tokens_details": {"reasoning_tokens": 1},
}
CHUNK = {
    "id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "usage": USAGE,
    "choices": [{"index": 0, "delta": DELTA, "finish_reason": "tool_calls", "logprobs": {"content": [{"token": "a"}]}}],
}  # fmt: skip
WHOLE = {
    **CHUNK, "object": "chat.completion",
    "choices": [{"index": 0, "message": dict(DELTA), "finish_reason": "tool_calls", "logprobs": None}],
}  # fmt: skip


class Provider(OpenAICompatible):
    """Answers in this process with what it is told to."""

    environment = Environment()

    def __init__(self, *pieces: bytes) -> None:
        super().__init__(Account("p", "http://p/v1"))
        self.pieces = pieces

    async def answer(self, chat: Chat) -> AsyncGenerator[bytes, None]:
        for piece in self.pieces:
            yield piece


async def asked(adapter: Any, *, stream: bool) -> bytes:
    chat = Chat({"model": "m", "messages": [], "stream": stream}, "m", trace=Trace("id"))
    got: list[bytes] = []
    async with Upstream(adapter, None, Timeouts()).open(chat) as reply:  # type: ignore[arg-type]  # nothing is sent
        got.extend([frame async for frame in reply.frames])
    return b"".join(got)


async def ends(data: bytes, *, stream: bool) -> bytes:
    """The answer, or the code of the error; any other exception is let through."""
    try:
        return await asked(Provider(data), stream=stream)
    except UpstreamError as error:
        return str(error.code).encode()


def faults(out: bytes) -> list[Any]:
    """In what an answer is not as OpenAI's are, to the letter; an error is none."""
    assert out
    return check_stream(out) if out.startswith(b"data:") else check_chat(out) if out.startswith(b"{") else []


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def changed(value: Any, path: tuple[Any, ...], odd: Any) -> bytes:
    made = copy.deepcopy(value)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = odd
    return orjson.dumps(made)


@pytest.mark.parametrize("path", list(places(CHUNK)), ids=lambda path: ".".join(map(str, path)))
async def test_whatever_a_member_of_a_chunk_is_it_is_an_answer_or_an_upstream_error(path: tuple[Any, ...]) -> None:
    for odd in ODD:
        data = b"data: " + changed(CHUNK, path, odd) + b"\n\ndata: [DONE]\n\n"
        assert faults(await ends(data, stream=True)) == []
        assert faults(await ends(data, stream=False)) == []


@pytest.mark.parametrize("path", list(places(WHOLE)), ids=lambda path: ".".join(map(str, path)))
async def test_whatever_a_member_of_a_whole_answer_is_it_is_an_answer_or_an_upstream_error(
    path: tuple[Any, ...],
) -> None:
    for odd in ODD:
        assert faults(await ends(changed(WHOLE, path, odd), stream=False)) == []
        assert faults(await ends(changed(WHOLE, path, odd), stream=True)) == []


class Breaks(Provider):
    """Fails as a mistake in its code would."""

    def __init__(self, method: str, *pieces: bytes) -> None:
        super().__init__(*pieces)
        setattr(self, method, self._fails)

    def _fails(self, *_: object) -> Any:
        raise KeyError("somebody's words")


async def test_a_mistake_of_an_adapters_is_an_upstream_error_and_its_words_are_not_told(capsys: Any) -> None:
    with pytest.raises(Malformed) as error:
        await asked(Breaks("translator", b"data: [DONE]\n\n"), stream=True)
    assert isinstance(error.value, GatewayError)
    assert "somebody" not in error.value.message + "".join(capsys.readouterr())


async def test_a_mistake_in_the_middle_is_told_after_what_came_before_it() -> None:
    class Step:
        def feed(self, event: Any) -> Any:
            if event["choices"][0]["delta"].get("content") == "bad":
                raise ZeroDivisionError
            return (event,)

        def finish(self) -> Any:
            return ()

    class Half(Provider):
        def steps(self, chat: Chat) -> Any:
            return (Step(),)

    def event(text: str) -> bytes:
        chunk = {**CHUNK, "usage": None, "choices": [{"index": 0, "delta": {"content": text}}]}
        return b"data: " + orjson.dumps(chunk) + b"\n\n"

    got: list[bytes] = []

    async def read() -> None:
        chat = Chat({"model": "m", "messages": [], "stream": True}, "m", trace=Trace("id"))
        async with Upstream(Half(event("good") + event("bad")), None, Timeouts()).open(chat) as reply:  # type: ignore[arg-type]
            async for frame in reply.frames:
                got.append(frame)

    with pytest.raises(Malformed):
        await read()
    assert b"good" in b"".join(got)


def test_a_header_with_our_key_in_it_is_not_passed_on() -> None:
    headers = {"x-ratelimit-limit-requests": "60", "x-ratelimit-reset-requests": "key sk-secret", "set-cookie": "a"}
    assert passed_on(headers, "sk-secret") == {"x-ratelimit-limit-requests": "60"}
