"""More texts than a provider takes at once are several requests, whose vectors come back as one answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from llmproxy.config import Alias, Config, Limits, Provider
from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import UpstreamError
from llmproxy.core.opener import Reply
from llmproxy.core.trace import Trace
from llmproxy.resilience.embedding_batches import BatchingOpener
from llmproxy.routing.gateway import Gateway
from llmproxy.testing import FakeProvider
from llmproxy.testing.jumping_clock import jumping
from tests.core.openers import Counted

CHAIN = (("gemini", "v1beta"), ("openai", "v1"))


class Embedder:
    """Answers each text with itself; fails at those texts that are bad. The later it is asked, the sooner it answers."""

    def __init__(self, *bad: str) -> None:
        self.bad = bad
        self.asked: list[Any] = []
        self.now = self.most = 0
        self.busy = asyncio.Event()  # four at once

    @asynccontextmanager
    async def open(self, chat: Chat) -> AsyncIterator[Reply]:
        given = chat.body["input"]
        self.asked.append(given)
        chat.trace.dial("p", "m")
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now == 4:
            self.busy.set()
        try:
            await asyncio.sleep(10 / len(self.asked))
            if any(one in self.bad for one in given):
                raise UpstreamError("bad text", status=400)
            yield Reply(_frames(given), Counted(), "application/json")
        finally:
            self.now -= 1


async def _frames(given: Any) -> AsyncIterator[bytes]:
    data = [{"object": "embedding", "index": at, "embedding": [one]} for at, one in enumerate(given)]
    usage = {"prompt_tokens": len(given), "total_tokens": len(given)}
    yield orjson.dumps({"object": "list", "model": "m", "data": data, "usage": usage})


def asks(given: Any) -> Chat:
    return Chat({"model": "m", "input": given, "encoding_format": "float"}, "m", "embeddings", trace=Trace("id"))


async def embedded(embedder: Embedder, chat: Chat, at_once: int = 10) -> Json:
    async with BatchingOpener(embedder, at_once).open(chat) as reply:
        answer: Json = orjson.loads(b"".join([block async for block in reply.frames]))
        assert reply.content_type == "application/json"
    return answer


@pytest.mark.parametrize("count", [1, 9, 10, 11, 20, 95])
@jumping
async def test_the_vectors_are_in_the_order_of_the_texts(count: int) -> None:
    embedder, chat = Embedder(), asks([str(at) for at in range(count)])
    answer = await embedded(embedder, chat)
    assert [one["embedding"] for one in answer["data"]] == [[str(at)] for at in range(count)]
    assert [one["index"] for one in answer["data"]] == list(range(count))
    assert answer["usage"] == {"prompt_tokens": count, "total_tokens": count}
    assert [len(one) for one in embedder.asked] == [10] * (count // 10) + [count % 10] * (count % 10 > 0)
    assert embedder.most <= 4
    assert (chat.trace.attempts, chat.trace.provider) == (len(embedder.asked), "p")


@pytest.mark.parametrize("given", ["text", ["one", "two"], [1, 2, 3] * 10, [[1, 2], [3]]])
@jumping
async def test_what_fits_goes_as_it_is(given: Any) -> None:
    embedder, chat = Embedder(), asks(given)
    async with BatchingOpener(embedder, 10).open(chat):
        assert embedder.asked == [given]


@jumping
async def test_one_part_that_fails_fails_all_and_no_more_is_asked() -> None:
    embedder = Embedder("3")
    with pytest.raises(UpstreamError, match="bad text"):
        await embedded(embedder, asks([str(at) for at in range(50)]), at_once=1)
    assert embedder.now == 0
    assert len(embedder.asked) < 20


@jumping
async def test_a_provider_that_fails_at_the_first_part_is_not_asked_for_the_others() -> None:
    embedder = Embedder("0")
    with pytest.raises(UpstreamError):
        await embedded(embedder, asks([str(at) for at in range(50)]), at_once=1)
    assert embedder.asked == [["0"]]


@jumping
async def test_a_chain_goes_on_after_a_part_that_failed() -> None:
    vectors = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "model": "m"}
    async with FakeProvider() as fake:
        fake.answers({"embeddings": [{"values": [0.5]}] * 100})
        fake.fails(503, {"error": {"code": 503, "status": "UNAVAILABLE", "message": "busy"}})
        fake.answers(vectors)
        providers = tuple(Provider(name, name, f"{fake.url}/{path}", "k", list_models=False) for name, path in CHAIN)
        aliases = {"both": Alias("both", chain=("gemini/a", "openai/b"))}
        gateway = Gateway.build(Config(providers=providers, limits=Limits(retries=0), aliases=aliases))
        chat = Chat({"model": "both", "input": ["text"] * 150}, "both", "embeddings")
        async with gateway.open(chat, gateway.router.route(chat)) as reply:
            assert b"0.5" in b"".join([block async for block in reply.frames])
        assert [one.path.partition("/")[2].partition("/")[0] for one in fake.exchanges] == ["v1beta", "v1beta", "v1"]
        await gateway.close()


@jumping
async def test_a_cancel_ends_every_part() -> None:
    embedder = Embedder()
    task = asyncio.ensure_future(embedded(embedder, asks([str(at) for at in range(30)]), at_once=1))
    await embedder.busy.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert embedder.now == 0
