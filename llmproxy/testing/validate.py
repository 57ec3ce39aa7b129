"""Validates answers against OpenAI's API: framing, required members, enums, order.

Every check returns a list of `Violation`, empty if the answer is valid. Unknown members are allowed everywhere, because a
gateway passes them on. Source: OpenAI's published OpenAPI file (2.3.0) and recordings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from .event_order import Order, Violation, choices_of, finish_fits, usage_adds_up
from .schemas import CHAT, CHUNK, COMPLETION, COMPLETION_CHUNK, EMBEDDINGS, ERROR, MODEL, MODELS, Shape, misfits


def check_chat(body: bytes) -> list[Violation]:
    """A chat.completion."""
    found, answer = _parsed(body, CHAT)
    choices = choices_of(answer)
    found += _numbered(choices)
    for choice in choices:
        called = bool((choice.get("message") or {}).get("tool_calls"))
        found += finish_fits(f"choices[{choice.get('index')}]", choice.get("finish_reason"), called)
    return found + usage_adds_up("usage", answer)


def check_completion(body: bytes) -> list[Violation]:
    """A text_completion."""
    found, answer = _parsed(body, COMPLETION)
    return found + _numbered(choices_of(answer)) + usage_adds_up("usage", answer)


def check_embeddings(body: bytes, *, usage: bool = True) -> list[Violation]:
    """A list of embeddings. usage: False for a provider that sends none."""
    shape = (
        EMBEDDINGS
        if usage
        else {**{k: v for k, v in EMBEDDINGS.items() if k != "usage"}, "usage?": EMBEDDINGS["usage"]}
    )
    found, answer = _parsed(body, shape)
    data = answer.get("data")
    return found + _numbered([one for one in data if isinstance(one, dict)] if isinstance(data, list) else [], "data")


def check_models(body: bytes) -> list[Violation]:
    return _parsed(body, MODELS)[0]


def check_model(body: bytes) -> list[Violation]:
    return _parsed(body, MODEL)[0]


def check_error(body: bytes) -> list[Violation]:
    """`{"error": {message, type, param, code}}`: all four present, code and type strings."""
    return _parsed(body, ERROR)[0]


def check_stream(
    stream: bytes,
    *,
    include_usage: bool = False,
    usage: bool = True,
    completions: bool = False,
    choices: int | None = None,
) -> list[Violation]:
    """A whole event stream, as bytes.

    include_usage: the client asked for usage: it must come once, in a chunk of its own, at the end; otherwise never.
    usage: False for a provider that sends none; then it is not required.
    completions: the chunks are those of /v1/completions.
    choices: the expected number of choices.
    """
    events, found = _framed(stream)
    order = Order(COMPLETION_CHUNK if completions else CHUNK, include_usage)
    for number, payload in events:
        found += order.event(number, payload)
    return found + order.end(demands_usage=include_usage and usage, choices=choices)


def check_framing(stream: bytes) -> list[Violation]:
    """Only the framing: line ends, fields, comments, blank lines."""
    return _framed(stream)[1]


def _framed(stream: bytes) -> tuple[list[tuple[int, bytes]], list[Violation]]:
    """Events with their numbers. Allowed are `data: X` and a blank line, and `: comment` lines between events."""
    events: list[tuple[int, bytes]] = []
    found: list[Violation] = []
    *lines, rest = stream.split(b"\n")
    if rest:
        found.append(Violation(f"event {len(events)}", f"the stream ends inside a line: {rest[:60]!r}"))
    open_event = False
    for line in lines:
        where = f"event {len(events) - open_event}"
        found += [Violation(where, what) for what in _line_faults(line, open_event)]
        if line.startswith(b"data:"):
            events.append((len(events), line[5:].removeprefix(b" ")))
        open_event = line.startswith(b"data:") or (open_event and line != b"")
    if open_event:
        found.append(Violation(f"event {len(events) - 1}", "its blank line is missing"))
    return events, found


def _line_faults(line: bytes, open_event: bool) -> Iterator[str]:
    if b"\r" in line:
        yield "a carriage return"
    if open_event and line:
        yield f"more than one line: {line[:60]!r}"
    elif not open_event and not line:
        yield "a blank line that ends no event"
    elif line and not line.startswith((b"data: ", b":")):
        yield f"not a data line: {line[:60]!r}"
    elif line.strip() == b"data:":
        yield "empty data"


def _numbered(items: list[dict[str, Any]], name: str = "choices") -> list[Violation]:
    indexes = [item.get("index") for item in items]
    return [] if indexes == list(range(len(items))) else [Violation(name, f"indexes are {indexes}")]


def _parsed(body: bytes, shape: Shape) -> tuple[list[Violation], dict[str, Any]]:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return [Violation("body", f"not JSON ({error}): {body[:60]!r}")], {}
    found = [Violation(path or "body", what) for path, what in misfits(answer, shape)]
    return found, answer if isinstance(answer, dict) else {}
