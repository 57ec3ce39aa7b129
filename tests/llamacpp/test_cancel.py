"""Whoever leaves a real llama.cpp server, or is stopped, gives its slot back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.gateway import Gateway, running_gateway
from tests.llamacpp.conftest import CONFIG, running_llamacpp

QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is the name of the city?"}]


@pytest.fixture(scope="module")
def endless(models: Path) -> Iterator[str]:
    with running_llamacpp(
        models / "endless.gguf", "--alias", "endless", "--parallel", "2", "--ctx-size", "100000"
    ) as url:
        yield url


@pytest.fixture(scope="module")
def gateway(endless: str) -> Iterator[Gateway]:
    with running_gateway(CONFIG.format(url=endless)) as gateway:
        yield gateway


@pytest.fixture
async def session(endless: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        await free_slots(session, endless, free=2)
        yield session


async def test_closing_the_stream_frees_the_slot(
    client: openai.AsyncOpenAI, endless: str, session: aiohttp.ClientSession
) -> None:
    stream = await client.chat.completions.create(model="llamacpp/endless", messages=QUESTION, stream=True)
    await anext(aiter(stream))
    await free_slots(session, endless, free=1)
    await stream.close()
    await free_slots(session, endless, free=2)


async def test_leaving_a_request_that_is_not_streamed_frees_the_slot(
    client: openai.AsyncOpenAI, endless: str, session: aiohttp.ClientSession
) -> None:
    asking = asyncio.ensure_future(client.chat.completions.create(model="llamacpp/endless", messages=QUESTION))
    await free_slots(session, endless, free=1)
    asking.cancel()
    await free_slots(session, endless, free=2)


DIALECTS: dict[str, tuple[str, dict[str, Any]]] = {
    "messages": ("/v1/messages", {"max_tokens": 100_000, "messages": QUESTION}),
    "responses": ("/v1/responses", {"input": "What is the name of the city?"}),
    "gemini": (
        "/v1beta/models/llamacpp/endless:streamGenerateContent?alt=sse",
        {"contents": [{"parts": [{"text": "Hi"}]}]},
    ),
}


@pytest.mark.parametrize("name", DIALECTS)
async def test_leaving_a_stream_of_another_dialect_frees_the_slot(
    gateway: Gateway, endless: str, session: aiohttp.ClientSession, name: str
) -> None:
    path, asked = DIALECTS[name]
    body = {**asked, "model": "llamacpp/endless", "stream": True} if name != "gemini" else asked
    response = await session.post(f"{gateway.url}{path}", json=body)
    assert response.status == 200
    await response.content.readline()
    await free_slots(session, endless, free=1)
    response.close()
    await free_slots(session, endless, free=2)


@pytest.mark.parametrize("stream", [False, True])
async def test_the_registry_s_cancel_frees_the_slot(
    gateway: Gateway, endless: str, session: aiohttp.ClientSession, stream: bool
) -> None:
    id = f"cancel-me-{stream}"
    body = {"model": "llamacpp/endless", "messages": QUESTION, "stream": stream}
    asking = asyncio.ensure_future(
        session.post(f"{gateway.base_url}/chat/completions", json=body, headers={"X-Request-ID": id})
    )
    await free_slots(session, endless, free=1)
    async with session.post(f"{gateway.base_url}/requests/{id}/cancel") as cancelled:
        assert cancelled.status == 200
    await free_slots(session, endless, free=2)
    async with await asking as response:
        said = await response.text()
    assert (response.status, "request_cancelled" in said, "[DONE]" in said) == (200 if stream else 499, True, False)


async def free_slots(session: aiohttp.ClientSession, url: str, *, free: int) -> None:
    """Returns once so many of the server's slots are free."""
    async with asyncio.timeout(10):
        while True:
            async with session.get(f"{url}/slots") as response:
                slots = await response.json()
            if sum(not slot["is_processing"] for slot in slots) == free:
                return
            await asyncio.sleep(0.02)
