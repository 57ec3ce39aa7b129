"""OpenAI as an upstream: reads a chat request strictly, and writes the model's turn as OpenAI does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from llmproxy.testing import Behaviour, Exchange, chunk, completion, failure, sse
from tests.clients.model import BEGINNING, PICTURE, SHOWN, TOOL, Call, Say, call_id, pieces, turn

KEY = "sk-of-the-gateway"
CHAT, ENDLESS, CUT = "gpt-chat", "gpt-endless", "gpt-cut"
LIMITED, BUSY = "gpt-limited", "gpt-busy"
USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}

_OURS = re.compile(
    r"call_\d+"
)  # an id that the gateway gave a call of Gemini's form, as some of its clients forget ids
_JSON = {"content-type": "application/json"}
_STREAM = {"content-type": "text/event-stream; charset=utf-8"}

Json = dict[str, Any]


class Refused(Exception):
    """What the conversation lacks; becomes a 400."""


def answer(exchange: Exchange) -> Behaviour:
    """The whole upstream behind /openai/v1/chat/completions."""
    if exchange.headers.get("authorization") != f"Bearer {KEY}":
        return _failure(401, "Incorrect API key provided.", "invalid_api_key")
    if not exchange.path.endswith("/chat/completions"):  # it is an older one: Responses are translated for it
        return _failure(404, "There is no such path.", "unknown_url")
    question = exchange.json
    special = _SPECIAL.get(question["model"])
    if special is not None:
        return special
    if question["model"] != CHAT:
        return _failure(404, f"The model `{question['model']}` does not exist.", "model_not_found")
    try:
        said = turn(*_read(question["messages"]), as_json=_wants_json(question))
    except Refused as refused:
        return _failure(400, str(refused), "bad_conversation")
    return _streamed(said, question) if question.get("stream") else _whole(said)


def _read(messages: list[Json]) -> tuple[str, list[str]]:
    """The last question and the results since. Raises Refused if a call was changed or left without its result."""
    question = ""
    results: list[str] = []
    waiting: list[str] = []
    for message in messages:
        match message["role"]:
            case "user":
                question, results = _text(message["content"]), []
            case "assistant":
                waiting = [_issued(call) for call in message.get("tool_calls") or ()]
            case "tool":
                if not waiting or message["tool_call_id"] != waiting.pop(0):
                    raise Refused(f"No call waits for the result {message['tool_call_id']!r}.")
                results.append(_text(message["content"]))
    if waiting:
        raise Refused(f"Calls without results: {waiting}")
    return question, results


def _wants_json(question: Json) -> bool:
    return bool((question.get("response_format") or {}).get("type") == "json_schema")


def _text(content: str | list[Json] | None) -> str:
    """A picture counts as what it shows."""
    if not isinstance(content, list):
        return content or ""
    return "".join(part["text"] if part["type"] == "text" else _seen(part) for part in content)


def _seen(part: Json) -> str:
    if part["type"] != "image_url" or part["image_url"]["url"] != f"data:image/png;base64,{PICTURE}":
        raise Refused(f"This is no picture that was sent: {part}")
    return SHOWN


def _issued(call: Json) -> str:
    """The id of a call that came back, if it is what this upstream once said."""
    city = orjson.loads(call["function"]["arguments"])["city"]
    named = call["id"] == call_id(city) or _OURS.fullmatch(call["id"])
    if not named or (call["type"], call["function"]["name"]) != ("function", TOOL):
        raise Refused(f"This call was never made: {call}")
    return str(call["id"])


def _whole(said: Say | Call) -> Behaviour:
    message: Json = {"role": "assistant", "content": None, "refusal": None}
    if isinstance(said, Say):
        message["content"] = said.text
    else:
        message["tool_calls"] = [_call(city, _arguments(city)) for city in said.cities]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(said)}
    return Behaviour([orjson.dumps(completion(choices=[choice], usage=USAGE))], headers=_JSON, framing="length")


def _streamed(said: Say | Call, question: Json) -> Behaviour:
    deltas = _spoken(said.text) if isinstance(said, Say) else _called(said)
    chunks = [*map(chunk, deltas), chunk({}, finish=_finish(said))]
    if (question.get("stream_options") or {}).get("include_usage"):
        chunks = [{**one, "usage": None} for one in chunks] + [chunk(usage=USAGE)]
    return Behaviour([sse(one, done=False) for one in chunks] + [sse()], headers=_STREAM)


def _spoken(text: str) -> Iterator[Json]:
    yield {"role": "assistant", "content": "", "refusal": None}
    yield from ({"content": piece} for piece in pieces(text))


def _called(said: Call) -> Iterator[Json]:
    """Each call opened with its id and name, then its arguments in pieces, as recorded."""
    yield {"role": "assistant", "content": None, "refusal": None}
    for index, city in enumerate(said.cities):
        yield {"tool_calls": [{"index": index, **_call(city, "")}]}
        for piece in pieces(_arguments(city)):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _call(city: str, arguments: str) -> Json:
    return {"id": call_id(city), "type": "function", "function": {"name": TOOL, "arguments": arguments}}


def _arguments(city: str) -> str:
    return orjson.dumps({"city": city}).decode()


def _finish(said: Say | Call) -> str:
    return "stop" if isinstance(said, Say) else "tool_calls"


def _failure(status: int, message: str, code: str, **headers: str) -> Behaviour:
    body = failure(status, message)
    body["error"]["code"] = code
    return Behaviour([orjson.dumps(body)], status, {**_JSON, **headers}, framing="length")


_BEGUN = [sse(chunk(delta), done=False) for delta in _spoken(BEGINNING)]
_SPECIAL: Mapping[str, Behaviour] = {
    ENDLESS: Behaviour(_BEGUN, headers=_STREAM, ending="hang"),
    LIMITED: _failure(429, "Slow down.", "rate_limit_exceeded", **{"retry-after": "97"}),
    BUSY: _failure(503, "The model is overloaded.", "server_is_overloaded"),
    CUT: Behaviour(_BEGUN, headers=_STREAM),  # ends properly as HTTP, but without a finish
}
