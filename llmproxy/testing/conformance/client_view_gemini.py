"""Reads a Gemini answer as a client does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from .client_view import ClientView
from .events import events

Json = dict[str, Any]
_STOPS = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter", "PROHIBITED_CONTENT": "content_filter"}


def view_of_gemini(body: bytes, *, stream: bool) -> ClientView:
    view = ClientView()
    for answer in _answers(body) if stream else [orjson.loads(body)]:
        view.first = view.first or answer
        if answer.get("error"):
            view.error = answer["error"]
            break
        view.usage = _counted(answer["usageMetadata"]) if answer.get("usageMetadata") else view.usage
        for candidate in answer.get("candidates") or ():
            _add_item(view, candidate)
    called = any(part[0] == "call" for part in view.parts)
    view.stop = "tool_calls" if called and view.stop == "stop" else view.stop
    return view


def _answers(body: bytes) -> Iterable[Json]:
    return (orjson.loads(data) for data in events(body))


def _add_item(view: ClientView, candidate: Json) -> None:
    for part in (candidate.get("content") or {}).get("parts") or ():
        view.content.append(part)
        if "functionCall" in part:
            call = part["functionCall"]
            view.parts.append(("call", call["name"], call.get("args") or {}))
        elif part.get("text"):
            _grow(view, "thinking" if part.get("thought") else "text", part["text"])
    reason = candidate.get("finishReason")
    view.stop = _STOPS.get(reason, reason) if reason else view.stop
    found = (candidate.get("groundingMetadata") or {}).get("groundingChunks") or ()
    view.sources += [one["web"]["uri"] for one in found if "web" in one]


def _grow(view: ClientView, kind: str, text: str) -> None:
    """Consecutive parts of one kind are one text."""
    if view.parts and view.parts[-1][0] == kind:
        view.parts[-1] = (kind, view.parts[-1][1] + text)
    else:
        view.parts.append((kind, text))


def _counted(usage: Json) -> Json:
    spoken = (usage.get("candidatesTokenCount") or 0) + (usage.get("thoughtsTokenCount") or 0)
    cached = usage.get("cachedContentTokenCount")
    return {"prompt": usage.get("promptTokenCount"), "cached": cached, "completion": spoken}
