"""What a client of Gemini's API understands of an answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from .events import events
from .heard import Heard

Json = dict[str, Any]
_STOPS = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter", "PROHIBITED_CONTENT": "content_filter"}


def heard_gemini(body: bytes, *, stream: bool) -> Heard:
    heard = Heard()
    for answer in _answers(body) if stream else [orjson.loads(body)]:
        heard.first = heard.first or answer
        if answer.get("error"):
            heard.error = answer["error"]
            break
        heard.usage = _counted(answer["usageMetadata"]) if answer.get("usageMetadata") else heard.usage
        for candidate in answer.get("candidates") or ():
            _hear(heard, candidate)
    called = any(part[0] == "call" for part in heard.parts)
    heard.stop = "tool_calls" if called and heard.stop == "stop" else heard.stop
    return heard


def _answers(body: bytes) -> Iterable[Json]:
    return (orjson.loads(data) for data in events(body))


def _hear(heard: Heard, candidate: Json) -> None:
    for part in (candidate.get("content") or {}).get("parts") or ():
        heard.content.append(part)
        if "functionCall" in part:
            call = part["functionCall"]
            heard.parts.append(("call", call["name"], call.get("args") or {}))
        elif part.get("text"):
            _grow(heard, "thinking" if part.get("thought") else "text", part["text"])
    reason = candidate.get("finishReason")
    heard.stop = _STOPS.get(reason, reason) if reason else heard.stop
    found = (candidate.get("groundingMetadata") or {}).get("groundingChunks") or ()
    heard.sources += [one["web"]["uri"] for one in found if "web" in one]


def _grow(heard: Heard, kind: str, text: str) -> None:
    """Parts in a row of one kind are one text."""
    if heard.parts and heard.parts[-1][0] == kind:
        heard.parts[-1] = (kind, heard.parts[-1][1] + text)
    else:
        heard.parts.append((kind, text))


def _counted(usage: Json) -> Json:
    spoken = (usage.get("candidatesTokenCount") or 0) + (usage.get("thoughtsTokenCount") or 0)
    cached = usage.get("cachedContentTokenCount")
    return {"prompt": usage.get("promptTokenCount"), "cached": cached, "completion": spoken}
