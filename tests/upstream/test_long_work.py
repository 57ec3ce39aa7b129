"""Work that takes minutes, or is paid by the run: waited for while the provider shows that it goes on, never done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from llmproxy.config import Config, Limits, Provider, Timeouts
from llmproxy.core import adapter_registry
from llmproxy.core.adapter import Account
from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import TimedOut, UpstreamError
from llmproxy.routing.gateway import Gateway
from llmproxy.testing import FakeProvider, chunk, completion, sse
from llmproxy.upstream.http import Client
from llmproxy.upstream.provider import Upstream
from tests.core.openers import taken

PING = b": ping\n\n"
ANSWER = sse(chunk({"content": "abc"}), chunk({}, finish="stop"))
RESEARCH = "sonar-deep-research"


def asked(model: str, **members: Any) -> Chat:
    return Chat({"model": model, "messages": [{"role": "user", "content": "?"}], **members}, model)


@asynccontextmanager
async def provider(fake: FakeProvider, name: str, **timeouts: float) -> AsyncIterator[Upstream]:
    client = Client()
    try:
        yield Upstream(adapter_registry.build(name, Account(name, fake.url)), client, Timeouts(**timeouts))
    finally:
        await client.close()


@asynccontextmanager
async def gateway(fake: FakeProvider, name: str) -> AsyncIterator[Gateway]:
    built = Gateway.build(Config(providers=(Provider(name, name, fake.url, "key"),), limits=Limits(retries=2)))
    try:
        yield built
    finally:
        await built.close()


async def answered(built: Gateway, chat: Chat) -> Json:
    """What the gateway answers; the chat's model is `provider/model`."""
    route = built.router.route(chat)
    async with built.open(chat, route) as reply:
        found: Json = orjson.loads(b"".join([block async for block in reply.frames]))
    return found


# Waiting


@pytest.mark.parametrize(("model", "seconds"), [(RESEARCH, 600.0), ("sonar", 120.0)])
def test_research_may_take_ten_minutes_to_its_first_word(model: str, seconds: float) -> None:
    adapter: Any = adapter_registry.build("perplexity", Account("p", "http://127.0.0.1:9"))
    upstream = Upstream(adapter, Client(), Timeouts())
    assert upstream.first_frame(upstream.pace(asked(model))) == seconds
    assert Upstream(adapter, Client(), Timeouts(first_frame=5)).first_frame(upstream.pace(asked(model))) == 5


async def test_pings_show_that_research_goes_on() -> None:
    async with FakeProvider() as fake, provider(fake, "perplexity", first_frame=0.3, idle=0.3) as perplexity:
        fake.streams(*[PING] * 10, chunk_frame("a"), *[PING] * 10, ANSWER, every=0.05)
        assert b"abc" in b"".join(await taken(perplexity, asked(RESEARCH, stream=True)))
        fake.streams(*[PING] * 10, ANSWER, every=0.05)
        with pytest.raises(TimedOut):
            await taken(perplexity, asked("sonar", stream=True))


def chunk_frame(text: str) -> bytes:
    return sse(chunk({"content": text}), done=False)


async def test_research_is_streamed_from_the_provider_though_the_client_wants_it_whole() -> None:
    async with FakeProvider() as fake, gateway(fake, "perplexity") as built:
        fake.streams(*[PING] * 3, ANSWER, every=0.01)
        answer = await answered(built, asked(f"perplexity/{RESEARCH}"))
        assert (fake.last.json["stream"], answer["choices"][0]["message"]["content"]) == (True, "abc")


# Once


@pytest.mark.parametrize("stream", [True, False])
async def test_a_paid_run_that_is_lost_is_not_started_again(stream: bool) -> None:
    async with FakeProvider() as fake, gateway(fake, "perplexity") as built:
        fake.answers(completion("warm"))  # a connection is kept, and could be found closed
        await answered(built, asked("perplexity/sonar"))
        for _ in range(3):
            fake.cuts(b"", 0, "rst")
        with pytest.raises(UpstreamError) as lost:
            await answered(built, asked(f"perplexity/{RESEARCH}", stream=stream))
        assert lost.value.headers["x-should-retry"] == "false"  # the client's own retries would be runs as well
        assert len(fake.exchanges) == 2


async def test_one_that_was_refused_before_it_began_is_tried_again() -> None:
    async with FakeProvider() as fake, gateway(fake, "perplexity") as built:
        fake.fails(503)
        fake.streams(ANSWER)
        await answered(built, asked(f"perplexity/{RESEARCH}"))
        assert len(fake.exchanges) == 2


# Progress


def progress(done: int) -> bytes:
    told = {"total": 100, "cache": 0, "processed": done, "time_ms": done}
    return sse(chunk({"role": "assistant", "content": None}, prompt_progress=told), done=False)


async def test_progress_on_the_prompt_is_shown_at_once_to_who_asked_for_it() -> None:
    async with FakeProvider() as fake, provider(fake, "llamacpp", idle=0.2, first_frame=5) as llamacpp:
        fake.hangs(progress(10), progress(50))
        async with asyncio.timeout(2), llamacpp.open(asked("m", stream=True, return_progress=True)) as reply:
            shown = b""
            while b'"processed":50' not in shown:
                shown += await anext(reply.frames)


async def test_after_progress_the_first_word_has_its_own_time() -> None:
    async with FakeProvider() as fake, provider(fake, "llamacpp", idle=0.1, first_frame=5) as llamacpp:
        fake.streams(progress(10), progress(90), ANSWER, every=0.3)
        frames = await taken(llamacpp, asked("m", stream=True, return_progress=True))
        assert b"abc" in b"".join(frames)


async def test_who_asked_for_no_progress_waits_for_the_first_word() -> None:
    async with FakeProvider() as fake, provider(fake, "llamacpp", idle=5, first_frame=0.2) as llamacpp:
        fake.hangs(progress(10))
        with pytest.raises(TimedOut):
            await taken(llamacpp, asked("m", stream=True))
