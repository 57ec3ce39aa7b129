"""Gemini as an upstream: its native REST, which refuses a function call that comes back without its thought signature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import orjson

from llmproxy.testing import Behaviour, Exchange
from tests.clients.model import BEGINNING, PICTURE, SHOWN, THOUGHT, TOOL, Call, Cities, Say, pieces, signature, turn
from tests.clients.openai_upstream import Refused

KEY = "AIza-of-the-gateway"
MODEL, WITH_IDS = "gemini-3-flash-preview", "gemini-3.8-flash"  # the second gives its calls ids and wants them back
ENDLESS = "gemini-endless"
USAGE = {"promptTokenCount": 11, "candidatesTokenCount": 3, "thoughtsTokenCount": 2, "totalTokenCount": 16}

_JSON = {"content-type": "application/json; charset=UTF-8"}
_STREAM = {"content-type": "text/event-stream"}

_COMMON = str.maketrans("-_", "+/")  # Python's SDK has the other alphabet of base64

Json = dict[str, Any]


def answer(exchange: Exchange) -> Behaviour:
    """The whole upstream behind /gemini/v1beta/models/NAME:METHOD."""
    name, _, method = exchange.path.partition("?")[0].rpartition("/")[2].partition(":")
    if exchange.headers.get("x-goog-api-key") != KEY:
        return _failure(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", _BAD_KEY)
    if name == ENDLESS:
        return Behaviour(
            [_event([{"text": piece}], None) for piece in pieces(BEGINNING)], headers=_STREAM, ending="hang"
        )
    if name not in (MODEL, WITH_IDS):
        return _failure(404, "NOT_FOUND", f"models/{name} is not found for API version v1beta.")
    has_ids = name == WITH_IDS
    try:
        said = turn(*_read(exchange.json["contents"], has_ids=has_ids), as_json=_wants_json(exchange.json))
    except Refused as refused:
        return _failure(400, "INVALID_ARGUMENT", str(refused))
    parts = _parts(said, has_ids=has_ids)
    return _streamed(parts) if method == "streamGenerateContent" else _whole(parts)


def _wants_json(body: Json) -> bool:
    return "responseJsonSchema" in body.get("generationConfig", {})


def _read(contents: list[Json], *, has_ids: bool) -> tuple[str, list[str]]:
    """The last question and the results since. Raises Refused if a signature, an id or a result is not there."""
    question = ""
    results: list[str] = []
    waiting: Cities = ()
    for content in contents:
        calls = [part for part in content["parts"] if "functionCall" in part]
        responses = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
        if calls:
            waiting = _issued(calls, has_ids=has_ids)
        elif responses:
            _check_answers(responses, waiting, has_ids=has_ids)
            results, waiting = [_answered(one["response"]) for one in responses], ()
        elif content["role"] == "user":
            question, results = "".join(map(_text, content["parts"])), []
    return question, results


def _answered(response: Json) -> str:
    """What a function gave: SDKs have names of their own for it."""
    (value,) = response.values()
    return str(value)


def _text(part: Json) -> str:
    """A picture counts as what it shows."""
    inline = part.get("inlineData") or part.get("inline_data")
    if inline is None:
        return str(part["text"])
    kind = inline.get("mimeType") or inline.get("mime_type")
    if (inline["data"].translate(_COMMON), kind) != (PICTURE, "image/png"):
        raise Refused(f"This is no picture that was sent: {part}")
    return SHOWN


def _issued(parts: list[Json], *, has_ids: bool) -> Cities:
    """The cities of one turn's calls, if they are as this upstream made them: the first with its signature."""
    cities = tuple(part["functionCall"]["args"]["city"] for part in parts)
    for at, part in enumerate(parts if has_ids else map(_without_id, parts)):
        expected = _call(cities, at, has_ids=has_ids)
        if part.get("thoughtSignature") != expected.get("thoughtSignature"):
            raise Refused(f"Function call is missing a thought_signature in functionCall parts: {part}")
        if part != expected:
            raise Refused(f"This call was never made: {part}")
    return cities


def _without_id(part: Json) -> Json:
    """Some clients give a call an id of their own, where it has none."""
    return {**part, "functionCall": {name: value for name, value in part["functionCall"].items() if name != "id"}}


def _check_answers(responses: list[Json], waiting: Cities, *, has_ids: bool) -> None:
    expected = [(TOOL, _id(city) if has_ids else None) for city in waiting]
    if [(one["name"], one.get("id") if has_ids else None) for one in responses] != expected:
        raise Refused(f"The function responses must be those of {expected}, in this order: {responses}")


def _parts(said: Say | Call, *, has_ids: bool) -> list[Json]:
    thought = {"text": THOUGHT, "thought": True}
    if isinstance(said, Say):
        return [thought, *({"text": piece} for piece in pieces(said.text))]
    return [thought, *(_call(said.cities, at, has_ids=has_ids) for at in range(len(said.cities)))]


def _call(cities: Cities, at: int, *, has_ids: bool) -> Json:
    """The call at this place of a turn. Only the first carries the signature, as recorded."""
    call = {"name": TOOL, "args": {"city": cities[at]}, **({"id": _id(cities[at])} if has_ids else {})}
    return {"functionCall": call, **({} if at else {"thoughtSignature": signature(cities)})}


def _id(city: str) -> str:
    return f"gemini-{city.lower()}"


def _whole(parts: list[Json]) -> Behaviour:
    return Behaviour([orjson.dumps(_chunk(parts, "STOP", uuid4().hex))], headers=_JSON, framing="length")


def _streamed(parts: list[Json]) -> Behaviour:
    """One part a chunk, CRLF, no [DONE]; the last one says STOP, whatever it is."""
    ends, id = [None] * (len(parts) - 1) + ["STOP"], uuid4().hex
    return Behaviour([_event([part], end, id) for part, end in zip(parts, ends, strict=True)], headers=_STREAM)


def _event(parts: list[Json], finish: str | None, id: str = "endless") -> bytes:
    return b"data: %b\r\n\r\n" % orjson.dumps(_chunk(parts, finish, id))


def _chunk(parts: list[Json], finish: str | None, id: str) -> Json:
    candidate = {
        "content": {"role": "model", "parts": parts},
        "index": 0,
        **({"finishReason": finish} if finish else {}),
    }
    return {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": MODEL, "responseId": id}


def _failure(status: int, kind: str, message: str, *details: Mapping[str, str]) -> Behaviour:
    body = {"error": {"code": status, "message": message, "status": kind, "details": details}}
    return Behaviour([orjson.dumps(body)], status, _JSON, framing="length")


_BAD_KEY = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
}
