"""The gateway in somebody else's program: as a server beside it, and as a part of an aiohttp application."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import ClientConnectorError, ClientSession, web

import llmproxy
from llmproxy.config import Config, Provider, Storage
from llmproxy.testing import FakeProvider, chunk, completion, sse

ASKED = {"model": "fake/m", "messages": [{"role": "user", "content": "Hi"}]}


def config(provider: FakeProvider, folder: Path) -> Config:
    fake = Provider("fake", "compatible", provider.url + "/v1", "sk-up", models=("m",), list_models=False, retries=0)
    return Config(providers=(fake,), storage=Storage(str(folder)))


async def test_it_serves_as_long_as_the_block_lasts(tmp_path: Path) -> None:
    async with FakeProvider() as provider, ClientSession() as client:
        provider.answers(completion("Hello"))
        async with llmproxy.serving(config(provider, tmp_path)) as url:
            async with client.post(f"{url}/v1/chat/completions", json=ASKED) as response:
                answer = await response.json()
            assert (await client.post(f"{url}/threads", json={})).status == 201
        assert answer["choices"][0]["message"]["content"] == "Hello"
        with pytest.raises(ClientConnectorError):
            await client.get(f"{url}/livez")


async def test_it_reads_a_file(tmp_path: Path) -> None:
    file = tmp_path / "llmproxy.toml"
    file.write_text('[aliases]\nfast = "demo/hello"\n')
    async with llmproxy.serving(file) as url, ClientSession() as client:
        listed = await (await client.get(f"{url}/v1/models")).json()
    assert "fast" in [one["id"] for one in listed["data"]]


async def test_it_is_a_part_of_another_application(tmp_path: Path) -> None:
    async with FakeProvider() as provider, ClientSession() as client:
        provider.answers(completion("Hello"))
        site = web.Application()
        site.add_subapp("/llm", llmproxy.app(config(provider, tmp_path)))
        runner = web.AppRunner(site, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/llm"
        async with client.post(f"{url}/v1/chat/completions", json=ASKED) as response:
            assert (response.status, (await response.json())["object"]) == (200, "chat.completion")
            assert response.headers["X-LLMProxy-Provider"] == "fake"
        assert (await client.get(f"{url}/v1/nothing")).status == 404
        await runner.cleanup()


async def test_a_stream_that_runs_at_the_end_is_stopped_and_told(tmp_path: Path) -> None:
    async with FakeProvider() as provider, ClientSession() as client:
        provider.hangs(sse(chunk({"content": "Hi"}), done=False))
        async with llmproxy.serving(config(provider, tmp_path)) as url:
            response = await client.post(f"{url}/v1/chat/completions", json={**ASKED, "stream": True})
            await response.content.readline()
        assert b"server_shutting_down" in await response.read()
        async with asyncio.timeout(5):
            await provider.last.closed.wait()


async def test_leaving_stops_the_provider(tmp_path: Path) -> None:
    async with FakeProvider() as provider, ClientSession() as client:
        provider.hangs(sse(chunk({"content": "Hi"}), done=False))
        async with llmproxy.serving(config(provider, tmp_path)) as url:
            response = await client.post(f"{url}/v1/chat/completions", json={**ASKED, "stream": True})
            await response.content.readline()
            response.close()
            async with asyncio.timeout(5):
                await provider.last.closed.wait()


def test_the_import_alone_loads_nothing() -> None:
    code = "import sys, llmproxy; print([m for m in sys.modules if m.startswith('llmproxy.') or m == 'aiohttp'])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_another_name_is_none_of_it() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        llmproxy.nothing  # noqa: B018
