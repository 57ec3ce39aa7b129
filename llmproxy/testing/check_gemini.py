"""Validates answers against Gemini's API: members, parts, the order of a stream's events.

Every check returns a list of `Violation`. Additional members are allowed everywhere; a part of an unknown kind is not, because
clients read it as an empty one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from .event_order import Violation
from .gemini_shapes import ANSWER, BESIDE, ERROR, ERROR_WORDS, MODEL, MODELS, PARTS, TOKENS
from .named_events import parsed_as
from .schemas import misfits

Json = dict[str, Any]
Fault = tuple[str, str]


def check_gemini(body: bytes) -> list[Violation]:
    """A whole answer."""
    order = _Order()
    answer, found = parsed_as(body, ANSWER)
    faults = [*order.parts(answer), *(("", what) for what in order.end())]
    return found + [Violation(path, what) for path, what in faults]


def check_gemini_error(body: bytes, status: int | None = None) -> list[Violation]:
    """`{"error": {"code", "message", "status", "details"}}`. status: the HTTP status, which must match."""
    value, found = parsed_as(body, ERROR)
    return found if found else [Violation(path, what) for path, what in _error_faults(value["error"], status)]


def check_gemini_models(body: bytes) -> list[Violation]:
    page, found = parsed_as(body, MODELS)
    for number, one in enumerate(() if found else page["models"]):
        if not one["name"].startswith("models/"):
            found.append(Violation(f"models[{number}].name", f"{one['name']!r} does not begin with models/"))
    return found


def check_gemini_model(body: bytes) -> list[Violation]:
    return parsed_as(body, MODEL)[1]


def check_gemini_tokens(body: bytes) -> list[Violation]:
    return parsed_as(body, TOKENS)[1]


def check_gemini_stream(stream: bytes) -> list[Violation]:
    """A whole event stream, with `?alt=sse`."""
    order, found = _Order(), list[Violation]()
    for number, block in enumerate(_blocks(stream)):
        where = f"event {number}"
        value, faults = _event(block)
        found += [Violation(where, what) for what in faults]
        if value is not None:
            found += [Violation(f"{where}: {path}" if path else where, what) for path, what in order.event(value)]
    return found + [Violation("end", what) for what in order.end()]


def check_gemini_array(body: bytes) -> list[Violation]:
    """A whole stream without `?alt=sse`: one JSON array."""
    try:
        values = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return [Violation("body", f"not JSON ({error}): {body[-60:]!r}")]
    if not isinstance(values, list):
        return [Violation("body", "no array")]
    order = _Order()
    found = [
        Violation(f"[{number}]{'.' * bool(path)}{path}", what)
        for number, value in enumerate(values)
        for path, what in order.event(value)
    ]
    return found + [Violation("end", what) for what in order.end()]


def _blocks(stream: bytes) -> Iterator[bytes]:
    """The blocks between blank lines. Google ends lines with CRLF, and sends blank lines as keep-alives."""
    for block in stream.replace(b"\r\n", b"\n").split(b"\n\n"):
        if block.strip(b"\n"):
            yield block.strip(b"\n")


def _event(block: bytes) -> tuple[Json | None, list[str]]:
    """One event. Google sends an error twice, the second time as bare JSON, which its Node SDK expects."""
    bare = block.startswith(b"{")
    if not bare and (b"\n" in block or not block.startswith(b"data:")):
        return None, [f"not one line of data: {block[:60]!r}"]
    try:
        value = orjson.loads(block if bare else block.removeprefix(b"data:"))
    except orjson.JSONDecodeError:
        return None, [f"not JSON: {block[:60]!r}"]
    if not isinstance(value, dict) or (bare and "error" not in value):
        return None, [f"not an event: {block[:60]!r}"]
    return value, []


class _Order:
    """The order of events: each candidate ends once."""

    def __init__(self) -> None:
        self._ended: set[int] = set()
        self._begun: set[int] = set()
        self._blocked = False
        self._failed = False
        self._head: dict[str, str] = {}

    def event(self, value: Any) -> Iterator[Fault]:
        if isinstance(value, dict) and "error" in value:
            yield from misfits(value, ERROR)
            self._failed = True
            return
        if self._failed:
            yield "", "an answer after an error"
        yield from misfits(value, ANSWER)
        yield from self._same(value if isinstance(value, dict) else {})
        yield from self.parts(value if isinstance(value, dict) else {})

    def parts(self, answer: Json) -> Iterator[Fault]:
        """Checks the parts of each candidate, and that none comes after its end."""
        feedback = answer.get("promptFeedback")
        self._blocked = self._blocked or bool(isinstance(feedback, dict) and feedback.get("blockReason"))
        candidates = answer.get("candidates")
        for number, candidate in enumerate(candidates if isinstance(candidates, list) else ()):
            if isinstance(candidate, dict):
                yield from self._candidate(f"candidates[{number}]", candidate)

    def end(self) -> Iterator[str]:
        if self._failed or self._blocked:
            return
        if not self._begun:
            yield "no candidate at all"
        for index in sorted(self._begun - self._ended):
            yield f"candidate {index} has no finishReason"

    def _same(self, answer: Json) -> Iterator[Fault]:
        for name in ("modelVersion", "responseId"):
            header_value = answer.get(name)
            if isinstance(header_value, str) and self._head.setdefault(name, header_value) != header_value:
                yield name, f"changed from {self._head[name]!r} to {header_value!r}"

    def _candidate(self, where: str, candidate: Json) -> Iterator[Fault]:
        index = candidate.get("index") or 0
        self._begun.add(index)
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        for number, part in enumerate(parts if isinstance(parts, list) else ()):
            yield from _part(f"{where}.content.parts[{number}]", part)
        if index in self._ended and parts and any(part.get("text") != "" for part in parts if isinstance(part, dict)):
            yield where, "says more after its finishReason"
        if candidate.get("finishReason"):
            self._ended.add(index)


def _part(where: str, part: object) -> Iterator[Fault]:
    kinds = [name for name in PARTS if isinstance(part, dict) and name in part]
    if len(kinds) != 1 and not (isinstance(part, dict) and set(part) == {"thoughtSignature"}):
        yield where, f"must be one thing, is {kinds or part!r}"[:120]
        return
    for name in kinds:
        yield from misfits(part, {**PARTS[name], **BESIDE}, where)


def _error_faults(error: Json, status: int | None) -> Iterator[Fault]:
    code = error["code"]
    if status is not None and code != status:
        yield "error.code", f"{code} with status {status}"
    if error["status"] not in ERROR_WORDS.get(code, (error["status"],)):
        yield "error.status", f"{error['status']} with code {code}"
