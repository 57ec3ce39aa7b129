"""A provider that refuses `stream_options` is asked again without it, once, and not asked for it any more."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.config import Timeouts
from llmproxy.core import adapter_registry
from llmproxy.core.adapter import Account
from llmproxy.core.chat import Chat
from llmproxy.core.errors import UpstreamError
from llmproxy.testing import Behaviour, FakeProvider, chunk, failure, sse
from llmproxy.testing.samples import as_bytes
from llmproxy.upstream.http import Client
from llmproxy.upstream.provider import Upstream

STREAM = {"content-type": "text/event-stream"}
ANSWER = Behaviour([sse(chunk({"content": "Hi"}), chunk({}, finish="stop"))], 200, STREAM)


def refuses(exchange: Any) -> Behaviour:
    if "stream_options" in exchange.json:
        return Behaviour([as_bytes(failure(400, "stream_options: Extra inputs are not permitted"))], 400, {})
    return ANSWER


async def asked(upstream: Upstream, **members: Any) -> bytes:
    chat = Chat({"model": "m", "messages": [], "stream": True, **members}, "m")
    async with upstream.open(chat) as reply:
        return b"".join([frame async for frame in reply.frames])


async def test_it_is_asked_again_without_and_remembered() -> None:
    async with FakeProvider(route=refuses) as fake:
        client = Client()
        upstream = Upstream(adapter_registry.build("compatible", Account("p", fake.url)), client, Timeouts())
        assert b"Hi" in await asked(upstream, stream_options={"include_usage": True})
        assert b"Hi" in await asked(upstream)
        sent = ["stream_options" in orjson.loads(one.body) for one in fake.exchanges]
        await client.close()
    assert sent == [True, False, False]


async def test_a_clients_own_mistake_in_it_is_its_own() -> None:
    async with FakeProvider(route=refuses) as fake:
        client = Client()
        upstream = Upstream(adapter_registry.build("compatible", Account("p", fake.url)), client, Timeouts())
        with pytest.raises(UpstreamError) as error:
            await asked(upstream, stream_options={"include": "usage"})
        await client.close()
    assert error.value.status == 400
    assert len(fake.exchanges) == 1
