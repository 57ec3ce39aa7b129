"""Messages of a request and of its answer as OpenTelemetry's GenAI conventions write them: roles and parts, as JSON text.

Read from the client's bytes, in any dialect. Pure. Data of images and files is left out; what looks like an API key is replaced.
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from llmproxy.core.chat import Json
from llmproxy.wire.sse import Events

REMOVED = "[key removed]"
_KEY = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|pplx|llmp|hf|ghp|gho|glpat|github_pat|AIza|AKIA|eyJ)[-_A-Za-z0-9][-_.A-Za-z0-9]{15,}"
)
_REASONING = ("reasoning_content", "reasoning", "thinking")


def content_of(question: bytes, answer: bytes) -> dict[str, str | None]:
    """The attributes of a span. question, answer: as the client sent and received them, perhaps cut off."""
    body = _parsed(question)
    system = _parts(body.get("system") or body.get("instructions") or _system_of_gemini(body)) if body else []
    asked = list(_asked(body)) if body else _raw("user", question)
    return {
        "gen_ai.system_instructions": _text(system),
        "gen_ai.input.messages": _text(asked),
        "gen_ai.output.messages": _text(_answered(answer)),
    }


def _text(messages: list[Json]) -> str | None:
    if not messages:
        return None
    return _KEY.sub(REMOVED, orjson.dumps(messages, default=str).decode())


def _parsed(data: bytes) -> Json:
    """Empty if this is no JSON object, or if it was cut off."""
    try:
        found = orjson.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _raw(role: str, data: bytes) -> list[Json]:
    """What cannot be read as messages, as one text."""
    return [_message(role, [_text_part(data.decode("utf-8", "replace"))])] if data else []


def _message(role: Any, parts: list[Json], finish: Any = None) -> Json:
    message: Json = {"role": str(role or "user"), "parts": parts}
    return {**message, "finish_reason": str(finish)} if finish else message


def _asked(body: Json) -> Iterator[Json]:
    """The messages of a request of any dialect."""
    given: Any = next((body[name] for name in ("messages", "input", "contents", "prompt") if body.get(name)), [])
    for one in given if isinstance(given, list) else [given]:
        if not isinstance(one, dict):
            yield _message("user", _parts(one))
        elif "role" not in one and str(one.get("type", "")).startswith("function_call"):
            yield _message("tool" if "output" in one else "assistant", [_part(one)])
        else:
            yield _message(one.get("role"), _parts_of_message(one))


def _system_of_gemini(body: Json) -> Any:
    given = body.get("systemInstruction") or body.get("system_instruction")
    return given.get("parts") if isinstance(given, dict) else None


def _parts_of_message(one: Json) -> list[Json]:
    if one.get("role") == "tool":
        return [{"type": "tool_call_response", "id": one.get("tool_call_id"), "response": one.get("content")}]
    reasoning = [
        {"type": "reasoning", "content": text} for name in _REASONING[:2] if isinstance(text := one.get(name), str)
    ]
    content = one.get("content") if "content" in one else one.get("parts")
    return [*reasoning[:1], *_parts(content), *map(_part, _objects(one.get("tool_calls")))]


def _parts(content: Any) -> list[Json]:
    if content is None:
        return []
    return [_part(one) for one in (content if isinstance(content, list) else [content])]


def _part(one: Any) -> Json:
    """One part of a message: a text, a call, a result; of all others, only the type."""
    if not isinstance(one, dict):
        return _text_part(str(one))
    call = next((one[name] for name in ("function", "functionCall", "custom") if isinstance(one.get(name), dict)), one)
    result = one.get("functionResponse", one) if isinstance(one.get("functionResponse", one), dict) else one
    kind = str(one.get("type", ""))
    if isinstance(one.get("thinking"), str) or one.get("thought") is True:
        return {"type": "reasoning", "content": one.get("thinking") or one.get("text")}
    if isinstance(one.get("text"), str):
        return _text_part(one["text"])
    if kind in ("tool_result", "function_call_output") or "functionResponse" in one:
        id = one.get("tool_use_id") or one.get("call_id") or result.get("name")
        response = next((result[name] for name in ("content", "output", "response") if name in result), None)
        return {"type": "tool_call_response", "id": id, "response": response}
    if isinstance(call.get("name"), str):
        arguments = next((call[name] for name in ("arguments", "input", "args") if name in call), None)
        id = one.get("call_id") or one.get("id")
        return {"type": "tool_call", "id": id, "name": call["name"], "arguments": arguments}
    return {"type": kind or next(iter(one), "unknown")}


def _objects(value: Any) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _parts_of_candidate(candidate: Json) -> list[Json]:
    content = candidate.get("content")
    return _parts(content.get("parts")) if isinstance(content, dict) else []


def _text_part(text: str) -> Json:
    return {"type": "text", "content": text}


def _answered(answer: bytes) -> list[Json]:
    """The messages of an answer, whole or streamed. Of a stream that was cut off: what came before."""
    if answer[:1] in (b"{", b"["):
        body = _parsed(answer)
        return _whole(body) if body else _raw("assistant", answer)
    events = [event for data, _ in Events().feed(answer) if (event := _parsed(data))]
    whole = next((one["response"] for one in events if one.get("type") == "response.completed"), None)
    return _whole(whole) if isinstance(whole, dict) else _joined(events)


def _whole(body: Json) -> list[Json]:
    """`choices`, `candidates`, `output` or `content`."""
    if "choices" in body:
        return [_choice(one) for one in _objects(body["choices"])]
    if "candidates" in body:
        given = _objects(body["candidates"])
        return [_message("assistant", _parts_of_candidate(one), one.get("finishReason")) for one in given]
    if "output" in body:
        parts = [part for one in _objects(body["output"]) for part in _parts(one.get("content") or one)]
        return [_message("assistant", parts, body.get("status"))]
    return [_message("assistant", _parts(body.get("content")), body.get("stop_reason"))] if "content" in body else []


def _choice(one: Json) -> Json:
    response = one.get("message")
    parts = _parts_of_message(response) if isinstance(response, dict) else _parts(one.get("text"))
    return _message("assistant", parts, one.get("finish_reason"))


def _joined(events: list[Json]) -> list[Json]:
    """The texts and calls of a stream, piece by piece."""
    parts: dict[str, Json] = {}
    finish = None
    for event in events:
        finish = _finish(event) or finish
        for place, given in _pieces(event):
            kept = parts.setdefault(str(place), {**given, **dict.fromkeys(_growing(given), "")})
            for name in _growing(given):
                kept[name] = f"{kept.get(name) or ''}{given[name]}"
    return [_message("assistant", list(parts.values()), finish)] if parts or finish else []


def _growing(part: Json) -> list[str]:
    return [name for name in ("content", "arguments") if isinstance(part.get(name), str)]


def _finish(event: Json) -> Any:
    choices = event.get("choices") or event.get("candidates")
    given = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else event.get("delta")
    if not isinstance(given, dict):
        return None
    return given.get("finish_reason") or given.get("finishReason") or given.get("stop_reason")


def _pieces(event: Json) -> Iterator[tuple[Any, Json]]:
    """(place, part) of what one event adds."""
    for choice in _objects(event.get("choices")):
        yield from _of_delta(choice.get("index"), choice.get("delta") or {"content": choice.get("text")})
    for candidate in _objects(event.get("candidates")):
        for part in _parts_of_candidate(candidate):
            yield (candidate.get("index"), part["type"], part.get("name")), part
    kind, place = (
        str(event.get("type", "")),
        (event.get("output_index"), event.get("index"), event.get("content_index")),
    )
    begun = event.get("content_block") or event.get("item")
    if isinstance(begun, dict) and begun.get("name") and not kind.endswith(("done", "stop")):
        yield (
            place,
            {
                "type": "tool_call",
                "id": begun.get("call_id") or begun.get("id"),
                "name": begun["name"],
                "arguments": "",
            },
        )
    delta = event.get("delta")
    if isinstance(delta, str):
        yield place, _grown(kind, delta)
    elif isinstance(delta, dict) and kind == "content_block_delta":
        text = next(
            (one for name in ("text", "thinking", "partial_json") if isinstance(one := delta.get(name), str)), None
        )
        if text is not None:
            yield place, _grown(str(delta.get("type")), text)


def _grown(kind: str, text: str) -> Json:
    if "json" in kind or "arguments" in kind:
        return {"type": "tool_call", "arguments": text}
    return {"type": "reasoning" if "thinking" in kind or "reasoning" in kind else "text", "content": text}


def _of_delta(index: Any, delta: Any) -> Iterator[tuple[Any, Json]]:
    if not isinstance(delta, dict):
        return
    for name in ("content", *_REASONING[:2]):
        if isinstance(text := delta.get(name), str) and text:
            yield (index, name), {"type": "text" if name == "content" else "reasoning", "content": text}
    for call in _objects(delta.get("tool_calls")):
        yield (index, "call", call.get("index")), _part_of_call(call)


def _part_of_call(call: Json) -> Json:
    """A piece of a call: only the first one has an ID and a name."""
    given = call.get("function") or call.get("custom")
    given = given if isinstance(given, dict) else {}
    arguments = given.get("arguments") or given.get("input") or ""
    return {"type": "tool_call", "id": call.get("id"), "name": given.get("name"), "arguments": arguments}
