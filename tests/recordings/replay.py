"""Every recording replayed through one running gateway: whole, in single bytes, and, with CI=true, cut at random places."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from llmproxy.testing import Answer, Behaviour, Exchange, FakeProvider, read
from tests.gateway import running_gateway
from tests.recordings.recording import PATHS, Recording
from tests.thorough import THOROUGH

MODES = ("whole", "bytes", "random") if THOROUGH else ("whole", "bytes")
LISTED = ("openai", "llamacpp")  # providers whose models list was recorded and is their list of chat models
AT_ONCE = 8
_ALL_BYTES = 6_000  # longer bodies are sent byte by byte at both ends, and in short pieces between
_MARK = re.compile(r"--(\d+)-([a-z]+)")

CONFIG = """
[limits]
retries = 0

[logs]
level = "info"
{providers}
"""
PROVIDER = """
[providers.{name}]
adapter = "{adapter}"
base_url = "{url}"
api_key = "test-key-of-nobody"
list_models = {lists}
[providers.{name}.breaker]
failures = 100000
samples = 100000
"""
PROVIDERS = {
    "openai": ("openai", "/openai/v1"),
    "openrouter": ("openrouter", "/openrouter/api/v1"),
    "perplexity": ("perplexity", "/perplexity"),
    "llamacpp": ("llamacpp", "/llamacpp/v1"),
    "gemini": ("gemini", "/gemini/v1beta"),
    "compat": ("compatible", "/compat/v1"),
}


@dataclass(slots=True)
class Outcome:
    """What one client saw, and what the provider was asked."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)
    exchange: Exchange | None
    question: dict[str, object] = field(repr=False)

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    @property
    def answer(self) -> Answer:
        return read(self.body, self.content_type)


Outcomes = dict[tuple[int, str], Outcome]  # by the recording's number and the mode


class Replay:
    """Replays recordings; `outcomes` holds all that was seen."""

    def __init__(self, recordings: list[Recording]) -> None:
        self.recordings = {one.number: one for one in recordings}
        self.outcomes: Outcomes = {}
        self.models: dict[str, Any] = {}
        self.log = ""
        self._asked: dict[tuple[int, str], Exchange] = {}

    async def run(self) -> None:
        async with FakeProvider(route=self._route) as provider:
            with running_gateway(config(provider.url)) as gateway:
                connector = aiohttp.TCPConnector(limit=AT_ONCE)
                async with aiohttp.ClientSession(gateway.url, connector=connector) as client:
                    await self._ask_all(client)
                    async with client.get("/v1/models") as response:
                        self.models = await response.json()
                self.log = gateway.output

    async def _ask_all(self, client: aiohttp.ClientSession) -> None:
        stack = asyncio.Semaphore(AT_ONCE)

        async def ask(recording: Recording, mode: str, changes: dict[str, object]) -> None:
            async with stack:
                self.outcomes[recording.number, mode] = await self._ask(client, recording, mode, changes)

        async with asyncio.TaskGroup() as group:
            for recording, mode, changes in self._plan():
                group.create_task(ask(recording, mode, changes))

    def _plan(self) -> Iterator[tuple[Recording, str, dict[str, object]]]:
        for recording in self.recordings.values():
            if recording.face == "models":
                continue
            for mode in MODES:
                yield recording, mode, {}
            if recording.stream and recording.status == 200:
                yield recording, "folded", {"stream": False, "stream_options": None}
                yield recording, "usage", {"stream": True, "stream_options": {"include_usage": True}}

    async def _ask(
        self, client: aiohttp.ClientSession, recording: Recording, mode: str, changes: dict[str, object]
    ) -> Outcome:
        question = {key: value for key, value in recording.question(mode, **changes).items() if value is not None}
        async with client.post(PATHS[recording.face], json=question) as response:
            headers = {key.lower(): value for key, value in response.headers.items()}
            body = await response.read()
        return Outcome(response.status, headers, body, self._asked.get((recording.number, mode)), question)

    def _route(self, exchange: Exchange) -> Behaviour | None:
        if exchange.method == "GET":
            return self._listed(exchange)
        name = exchange.path if "/models/" in exchange.path else str(exchange.json.get("model"))
        mark = _MARK.search(name)
        if mark is None:
            return None
        recording, mode = self.recordings[int(mark[1])], mark[2]
        self._asked[recording.number, mode] = exchange
        return played(recording, mode)

    def _listed(self, exchange: Exchange) -> Behaviour | None:
        name = exchange.path.split("/")[1]
        lists = [one for one in self.recordings.values() if one.face == "models" and one.provider == name]
        good = next((one for one in lists if one.status == 200), None)
        return played(good, "whole") if good else None


def config(url: str) -> str:
    tables = [
        PROVIDER.format(name=name, adapter=adapter, url=url + path, lists=str(name in LISTED).lower())
        for name, (adapter, path) in PROVIDERS.items()
    ]
    return CONFIG.format(providers="".join(tables))


def played(recording: Recording, mode: str) -> Behaviour:
    pieces = list(_pieces(recording.body, mode, recording.number))
    return Behaviour(pieces, recording.status, recording.headers, framing="chunked")


def _pieces(body: bytes, mode: str, seed: int) -> Iterator[bytes]:
    if mode not in ("bytes", "random") or not body:
        yield body
        return
    draw = random.Random(seed)
    at = 0
    while at < len(body):
        near_an_end = min(at, len(body) - at) < _ALL_BYTES / 2
        size = draw.choice((1, 2, 3, 7, 60, 400)) if mode == "random" else 1 if near_an_end else 41
        yield body[at : at + size]
        at += size
