"""Encodes a scripted reply in Gemini's API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from .scripted_reply import Call, Count, Json, Part, ScriptedReply, Text, halves

_ENDS = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
_HEAD = {"modelVersion": "fake-model", "responseId": "fake"}


def gemini_stream(reply: ScriptedReply) -> bytes:
    """One part per event, lines end with CRLF, no [DONE]."""
    return b"".join(b"data: %b\r\n\r\n" % orjson.dumps(event) for event in _events(reply))


def gemini_answer(reply: ScriptedReply) -> Json:
    parts = [piece for part in reply.parts for piece in _parts(part, [getattr(part, "text", "")])]
    return _event(parts, reply, last=True)


def gemini_error(status: int, message: str, code: str) -> Json:
    del code
    return {"error": {"code": status, "message": message, "status": _WORDS.get(status, "INTERNAL")}}


def gemini_breaks(number: int) -> bytes:
    del number
    return b"data: %b\r\n\r\n" % orjson.dumps(gemini_error(500, "it broke", ""))


def _events(reply: ScriptedReply) -> Iterator[Json]:
    for part in reply.parts:
        for piece in _parts(part, list(halves(getattr(part, "text", "")))):
            yield _event([piece], reply)
    yield _event([{"text": ""}], reply, last=True)


def _event(parts: list[Json], reply: ScriptedReply, *, last: bool = False) -> Json:
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if last:
        candidate |= {"finishReason": _ENDS[reply.reason], **_grounded(reply)}
    counted = {"usageMetadata": _usage(reply.count)} if reply.count is not None else {}
    return {"candidates": [candidate], **counted, **_HEAD}


def _parts(part: Part, pieces: list[str]) -> list[Json]:
    if isinstance(part, Call):
        call = {"id": part.id, "name": part.name, "args": orjson.loads(part.arguments or "{}")}
        return [{"functionCall": call}]
    if isinstance(part, Text):
        return [{"text": piece} for piece in pieces]
    made: list[Json] = [{"text": piece, "thought": True} for piece in pieces]
    return [*made, {"text": "", "thoughtSignature": part.state}] if part.state else made


def _grounded(reply: ScriptedReply) -> Json:
    sources = [one for part in reply.parts if isinstance(part, Text) for one in part.sources]
    if not sources:
        return {}
    chunks: list[Any] = [{"web": {"uri": url, "title": title}} for title, url in sources]
    segment = {"startIndex": 0, "endIndex": 5}
    support = {"segment": segment, "groundingChunkIndices": list(range(len(chunks)))}
    return {"groundingMetadata": {"groundingChunks": chunks, "groundingSupports": [support]}}


def _usage(count: Count) -> Json:
    return {
        "promptTokenCount": count.prompt,
        "cachedContentTokenCount": count.cached,
        "candidatesTokenCount": count.completion - count.reasoning,
        "thoughtsTokenCount": count.reasoning,
        "totalTokenCount": count.prompt + count.completion,
    }
