"""Reads an answer as a client does, without repair, into one form for every API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from .events import events

Json = dict[str, Any]
_STOPS = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length", "refusal": "content_filter"}
_REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}


@dataclass(slots=True)
class ClientView:
    """parts: ("thinking" | "text" | "refusal", text) and ("call", name, arguments), in order."""

    parts: list[tuple[Any, ...]] = field(default_factory=list)
    content: list[Json] = field(default_factory=list)  # the answer as a client sends it back in the next request
    stop: str | None = None  # as a finish_reason of chat completions
    usage: Json = field(default_factory=dict)  # prompt, cached, completion
    error: Json | None = None
    sources: list[str] = field(default_factory=list)
    first: Json = field(default_factory=dict)  # the message or response of the first event

    @property
    def ids(self) -> list[str]:
        """IDs of the calls, as results refer to them; the name if there is no ID (Gemini)."""
        named = [one.get("functionCall", one) for one in self.content]
        return [str(one.get("call_id") or one.get("id") or one["name"]) for one in named if "name" in one]

    @property
    def text(self) -> str:
        return "".join(part[1] for part in self.parts if part[0] == "text")


def view_of_messages(body: bytes, *, stream: bool) -> ClientView:
    view = ClientView()
    message = _joined(view, _objects(body)) if stream else orjson.loads(body)
    if message.get("type") == "error":
        view.error = message.get("error") or {}
        return view
    view.content = message.get("content") or []
    for block in view.content:
        kind = block.get("type")
        if kind in ("text", "thinking"):
            view.parts.append((kind, block[kind]))
        elif kind == "tool_use":
            view.parts.append(("call", block["name"], block["input"]))
        view.sources += [one.get("url", "") for one in block.get("citations") or ()]
    reason = message.get("stop_reason")
    view.stop = _STOPS.get(str(reason), reason)
    view.usage = _counted(message.get("usage") or {})
    return view


def _joined(view: ClientView, events: Iterable[Json]) -> Json:
    """The message that a stream adds up to."""
    message: Json = {}
    for event in events:
        kind = event.get("type")
        if kind == "message_start":
            message = {**event["message"], "content": []}
            view.first = event["message"]
        elif kind == "content_block_start":
            message["content"].append({**event["content_block"], "json": ""})
        elif kind == "content_block_delta":
            _grow(message["content"][event["index"]], event["delta"])
        elif kind == "content_block_stop":
            _close(message["content"][event["index"]])
        elif kind == "message_delta":
            message |= event["delta"]
            message["usage"] = {**message["usage"], **(event.get("usage") or {})}
        elif kind == "error":
            view.error = event.get("error") or {}
    for block in message.get("content") or ():
        block.pop("json")
    return message


def _grow(block: Json, delta: Json) -> None:
    if delta["type"] == "citations_delta":
        block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
    elif delta["type"] == "input_json_delta":
        block["json"] += delta["partial_json"]
    elif delta["type"] == "signature_delta":
        block["signature"] = delta["signature"]
    else:
        name = delta["type"].removesuffix("_delta")
        block[name] = block.get(name, "") + delta[name]


def _close(block: Json) -> None:
    """Parses the arguments of a call that has ended."""
    if block["json"]:
        block["input"] = orjson.loads(block["json"])


def _counted(usage: Json) -> Json:
    cached = usage.get("cache_read_input_tokens") or 0
    prompt = (usage.get("input_tokens") or 0) + cached + (usage.get("cache_creation_input_tokens") or 0)
    return {"prompt": prompt, "cached": cached, "completion": usage.get("output_tokens")}


def view_of_responses(body: bytes, *, stream: bool) -> ClientView:
    view = ClientView()
    response = _last(view, _objects(body)) if stream else orjson.loads(body)
    if response.get("error"):
        view.error = response["error"]
    for item in response.get("output") or ():
        _add_item(view, item)
    view.content = response.get("output") or []
    status = response.get("status")
    if status == "completed":
        view.stop = "tool_calls" if any(part[0] == "call" for part in view.parts) else "stop"
    elif status == "incomplete":
        view.stop = _REASONS.get((response.get("incomplete_details") or {}).get("reason", ""), "incomplete")
    usage = response.get("usage") or {}
    cached = (usage.get("input_tokens_details") or {}).get("cached_tokens")
    view.usage = {"prompt": usage.get("input_tokens"), "cached": cached, "completion": usage.get("output_tokens")}
    return view


def _last(view: ClientView, events: Iterable[Json]) -> Json:
    """The response that a stream adds up to, from its finished items: the last event's output may be empty."""
    response: Json = {}
    done: list[Json] = []
    open: list[str] = []
    for event in events:
        kind = event.get("type", "")
        if kind == "response.output_item.done":
            done.append(event["item"])
            open = []
        elif kind == "response.output_text.delta":
            open.append(event["delta"])
        elif kind == "error":
            view.error = event.get("error") if isinstance(event.get("error"), dict) else event
        elif "response" in event:
            response = event["response"]
            view.first = view.first or response
    if open:
        done.append({"type": "message", "content": [{"type": "output_text", "text": "".join(open)}]})
    return {**response, "output": done}


def _add_item(view: ClientView, item: Json) -> None:
    kind = item.get("type")
    if kind == "message":
        for part in item["content"]:
            if part["type"] == "refusal":
                view.parts.append(("refusal", part["refusal"]))
            else:
                view.parts.append(("text", part["text"]))
            view.sources += [one.get("url", "") for one in part.get("annotations") or ()]
    elif kind == "reasoning":
        shown = [*(item.get("summary") or ()), *(item.get("content") or ())]
        view.parts.append(("thinking", "".join(part["text"] for part in shown)))
    elif kind == "function_call":
        view.parts.append(("call", item["name"], orjson.loads(item["arguments"] or "{}")))
    elif kind == "custom_tool_call":
        view.parts.append(("call", item["name"], item["input"]))


def _objects(body: bytes) -> Iterator[Json]:
    for data in events(body):
        if data != b"[DONE]":
            yield orjson.loads(data)
