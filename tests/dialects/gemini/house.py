"""A running gateway for Gemini's API, and what providers behind it say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import ClientSession
from google import genai

from llmproxy.requests.registry import RequestRegistry
from llmproxy.testing import chunk, sse

Json = dict[str, Any]
USAGE = {
    "prompt_tokens": 50,
    "completion_tokens": 20,
    "total_tokens": 70,
    "prompt_tokens_details": {"cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
ASK: Json = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


@dataclass
class House:
    """A running gateway, a plain client to it, and Google's."""

    url: str
    client: ClientSession
    google: genai.Client
    registry: RequestRegistry

    async def post(self, path: str, body: Json = ASK) -> tuple[int, dict[str, str], bytes]:
        async with self.client.post(self.url + path, json=body) as response:
            return response.status, {k.lower(): v for k, v in response.headers.items()}, await response.read()


def said(*deltas: Json, finish: str = "stop") -> list[bytes]:
    """A chat provider's stream, one frame for each delta."""
    frames = [sse(chunk(delta), done=False) for delta in deltas]
    return [*frames, sse(chunk({}, finish=finish), chunk(None, usage=USAGE))]


def call(index: int, id: str, name: str, arguments: str) -> Json:
    return {
        "tool_calls": [
            {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
        ]
    }


def events(stream: bytes) -> list[Json]:
    """The events in these bytes: each is one line of data, and nothing else is there but empty lines."""
    found = []
    for block in stream.replace(b"\r\n", b"\n").split(b"\n\n"):
        if block.strip():
            assert block.lstrip(b"\n").startswith(b"data: "), block
            found.append(orjson.loads(block.lstrip(b"\n")[6:]))
    return found


def parts(answers: list[Json]) -> list[Json]:
    return [
        part
        for one in answers
        for candidate in one.get("candidates", ())
        for part in candidate.get("content", {}).get("parts", ())
    ]
