"""Gemini's own API: the first call of a turn carries its thought signature."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from llmproxy.testing import Behaviour

from .turn import JSON, SSE, TOKENS, Heard, Json, Turn, halves, seal

_USAGE = {"promptTokenCount": TOKENS[0], "candidatesTokenCount": TOKENS[1], "totalTokenCount": sum(TOKENS)}


def hear(body: Json, path: str) -> Heard:
    heard = Heard(streamed=":streamGenerateContent" in path)
    declared = [one for tool in body.get("tools") or () for one in tool.get("functionDeclarations") or ()]
    heard.tools = {one["name"] for one in declared}
    for content in body["contents"]:
        heard.turns += any("functionCall" in part for part in content["parts"])
        for part in content["parts"]:
            _hear_part(part, heard)
    return heard


def _hear_part(part: Json, heard: Heard) -> None:
    if "thoughtSignature" in part:
        heard.seals.append(part["thoughtSignature"])
    if part.get("thought"):
        heard.thoughts.append(part["text"])
    elif "functionCall" in part:
        heard.calls.append((part["functionCall"].get("id", ""), part["functionCall"]["name"]))
    elif "inlineData" in part:
        heard.images.append(_image(part))
    elif "functionResponse" in part:
        answer = part["functionResponse"]
        heard.results.append(" ".join(map(str, answer["response"].values())))
        heard.images += [_image(one) for one in answer.get("parts") or () if "inlineData" in one]


def _image(part: Json) -> tuple[str, str]:
    return part["inlineData"]["mimeType"], part["inlineData"]["data"]


def say(turn: Turn, number: int, *, provider: str, streamed: bool) -> Behaviour:
    parts = [*_parts(turn, number, provider)]
    if not streamed:
        whole = {**_candidate(number, parts, "STOP"), "usageMetadata": _USAGE}
        return Behaviour([orjson.dumps(whole)], headers=JSON, framing="length")
    events: list[Json] = [_candidate(number, [part]) for part in parts]
    events.append({**_candidate(number, [{"text": ""}], "STOP"), "usageMetadata": _USAGE})
    return Behaviour([*map(_frame, events)], headers=SSE)


def begin(text: str) -> list[bytes]:
    """The beginning of an answer, without an end."""
    return [_frame(_candidate(0, [{"text": text}]))]


def _parts(turn: Turn, number: int, provider: str) -> Iterator[Json]:
    yield from ({"text": piece, "thought": True} for piece in halves(turn.thought))
    yield from ({"text": piece} for piece in halves(turn.text))
    for at, call in enumerate(turn.calls):
        arguments: Any = {"input": call.text} if call.text else call.arguments
        signed = {"thoughtSignature": seal(provider, number)} if turn.thought and not at else {}
        yield {"functionCall": {"name": call.tool, "args": arguments}, **signed}


def _candidate(number: int, parts: list[Json], finish: str | None = None) -> Json:
    candidate: Json = {"index": 0, "content": {"role": "model", "parts": parts}}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": "m", "responseId": f"response-{number}"}


def _frame(event: Json) -> bytes:
    return b"data: " + orjson.dumps(event) + b"\r\n\r\n"


def fail(status: int, message: str) -> Json:
    name = "RESOURCE_EXHAUSTED" if status == 429 else "UNAVAILABLE"
    return {"error": {"code": status, "message": message, "status": name}}
