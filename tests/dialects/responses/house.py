"""A running gateway for Responses, and how its streams are judged: by OpenAI's own types, and by their order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from openai import AsyncOpenAI
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from llmproxy.requests.registry import RequestRegistry
from tests.dialects.streams import Asked, Json, chat_stream, parsed

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
    return chat_stream(*deltas, finish=finish, usage=usage)


@dataclass
class House(Asked):
    """A running gateway, a plain client to it, and OpenAI's."""

    sdk: AsyncOpenAI
    registry: RequestRegistry

    async def stream(self, **body: Any) -> bytes:
        """The bytes of a whole stream."""
        return await self.streamed("/v1/responses", {"model": "m", "stream": True, **body})

    async def events(self, **body: Any) -> list[Json]:
        """The events of a stream, which are checked."""
        return checked(await self.stream(**body))


Open = Callable[..., AbstractAsyncContextManager[House]]


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
