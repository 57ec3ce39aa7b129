"""A running gateway for Responses, and how its streams are judged: by OpenAI's own types, and by their order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import ClientSession
from openai import AsyncOpenAI
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

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
_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def said(*deltas: Json, finish: str = "stop", usage: Any = USAGE) -> list[bytes]:
    """A chat provider's stream, one frame for each delta."""
    frames = [sse(chunk(delta), done=False) for delta in deltas]
    return [*frames, sse(chunk({}, finish=finish), chunk(None, usage=usage))]


def call(index: int, id: str, name: str, arguments: str) -> Json:
    """A piece of a tool call; without a name it is a later one."""
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    first = {"id": id, "type": "function"} if id else {}
    return {"tool_calls": [{"index": index, **first, "function": function}]}


@dataclass
class House:
    """A running gateway, a plain client to it, and OpenAI's."""

    url: str
    client: ClientSession
    sdk: AsyncOpenAI
    registry: RequestRegistry

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of a whole answer."""
        data = None if body is None else orjson.dumps(body)
        sent = {"Content-Type": "application/json", **headers} if data else headers
        async with self.client.request(method, self.url + path, data=data, headers=sent) as response:
            raw = await response.read()
            return response.status, orjson.loads(raw) if raw else None

    async def stream(self, **body: Any) -> bytes:
        """The bytes of a whole stream."""
        data = orjson.dumps({"model": "m", "stream": True, **body})
        sent = {"Content-Type": "application/json"}
        async with self.client.post(f"{self.url}/v1/responses", data=data, headers=sent) as response:
            assert response.status == 200, await response.read()
            return await response.read()

    async def events(self, **body: Any) -> list[Json]:
        """The events of a stream, which are checked."""
        return checked(await self.stream(**body))


Open = Callable[..., AbstractAsyncContextManager[House]]


def parsed(stream: bytes) -> list[Json]:
    """The events in these bytes; each has its name twice, and one line of data."""
    found = []
    for block in stream.decode().split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            name, data = lines
            event = orjson.loads(data.removeprefix("data: "))
            assert name == f"event: {event['type']}"
            found.append(event)
    return found


def checked(stream: bytes) -> list[Json]:
    """The events, if they are OpenAI's, to the letter of its types, and in the order that its clients rely on."""
    events = parsed(stream)
    for event in events:
        if event["type"] != "keepalive":
            _check_types(event)
    dense = [event for event in events if event["type"] != "keepalive"]
    assert [event["sequence_number"] for event in dense] == list(range(len(dense)))
    assert [event["type"] for event in dense[:2]] == ["response.created", "response.in_progress"]
    assert dense[-1]["type"] in ("response.completed", "response.incomplete", "response.failed")
    _check_items(dense)
    return events


def _check_types(event: Json) -> None:
    """By OpenAI's own types; codes of errors are more than they list."""
    error = (event.get("response") or {}).get("error")
    known = {**event, "response": {**event["response"], "error": {**error, "code": "server_error"}}} if error else event
    _EVENT.validate_python(known)


def _check_items(events: list[Json]) -> None:
    """Items come one after the other, parts too; what is done says what its deltas said."""
    open: Json | None = None
    done: list[Json] = []
    grown: dict[tuple[str, int], str] = {}
    for event in events:
        kind = event["type"]
        if kind == "response.output_item.added":
            assert open is None
            assert event["output_index"] == len(done)
            open = event["item"]
        elif kind == "response.output_item.done":
            assert open is not None
            assert (event["output_index"], event["item"]["id"]) == (len(done), open["id"])
            done.append(event["item"])
            open = None
        elif "item_id" in event:
            assert open is not None
            assert (event["item_id"], event["output_index"]) == (open["id"], len(done))
        place = (str(event.get("item_id")), int(event.get("content_index") or event.get("summary_index") or 0))
        if kind.endswith(".delta"):
            grown[place] = grown.get(place, "") + event["delta"]
        whole = [event[name] for name in ("text", "arguments", "input", "refusal") if name in event]
        if kind.endswith(".done") and whole:
            assert grown.get(place, "") == whole[0]
    if events[-1]["type"] != "response.failed":
        assert open is None
        assert events[-1]["response"]["output"] == done


def kinds(events: list[Json]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def last(events: list[Json]) -> Json:
    """The final response."""
    return dict(events[-1]["response"])


def text(response: Json) -> str:
    return "".join(
        part.get("text", "") for item in response["output"] if item["type"] == "message" for part in item["content"]
    )
