"""Validates a provider's chunk: each field has OpenAI's type, or is left out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llmproxy.core.chat import Json
from llmproxy.wire.finish_reasons import BROKEN, FINISHES, as_finish

from .content_parts import taken_apart
from .counted import is_usual_logprobs, is_usual_usage, usual_logprobs, usual_usage
from .members import is_usual, usual

_OF_CHUNKS = ("message", "usage")  # members that OpenAI has only outside of a choice
_NONE: frozenset[int] = frozenset()  # one for all streams
_LATEST = 2**53  # seconds; a larger float is no exact integer


class Entrance:
    """A Step. A chunk in OpenAI's form is returned as the same object.

    Converts here: deltas with wrong types, content as parts, `message` instead of a delta, the provider's own finish reasons,
    usage inside a choice, log probabilities with missing members.
    """

    __slots__ = (
        "_spoke",
        "_text",
        "_told",
    )

    def __init__(self, *, text: bool = False) -> None:
        self._text = text  # text completions have another form of log probabilities
        self._spoke = _NONE  # choices that have had text
        self._told: dict[int, str] = {}  # the text of each choice's `message` so far

    def feed(self, chunk: Json) -> Iterable[Json]:
        usage = chunk.get("usage")
        if isinstance(usage, dict) and usage and not is_usual_usage(usage):
            chunk = {**chunk, "usage": usual_usage(usage)}
        if "system_fingerprint" in chunk and not isinstance(chunk["system_fingerprint"], str | None):
            chunk = {key: value for key, value in chunk.items() if key != "system_fingerprint"}
        created = chunk.get("created")
        if created is not None and type(created) is not int:
            chunk = {**chunk, "created": _whole_seconds(created)}
        choices = chunk.get("choices")
        if not choices:
            return (chunk,)
        if not isinstance(choices, list):
            choices = [choices] if isinstance(choices, dict) else []
        tidy = [self._choice(one) for one in choices if isinstance(one, dict)]
        if usage is None and (counted := _usage_inside(choices)) is not None:
            chunk = {**chunk, "usage": counted}
        if len(tidy) != len(choices) or choices is not chunk["choices"] or any(map(_differ, tidy, choices)):
            chunk = {**chunk, "choices": tidy}
        return (chunk,)

    def finish(self) -> Iterable[Json]:
        return ()

    def _choice(self, choice: Json) -> Json:
        index, delta, finish = choice.get("index"), choice.get("delta"), choice.get("finish_reason")
        if type(index) is not int or index < 0:
            index = 0
            choice = {**choice, "index": index}
        if "message" in choice or "usage" in choice:
            delta = self._from_message(index, choice)
            choice = {**{key: value for key, value in choice.items() if key not in _OF_CHUNKS}, "delta": delta}
        if not isinstance(delta, dict) or not is_usual(delta):
            delta = _tidied(delta)
            choice = {**choice, "delta": delta}
        if index not in self._spoke and any(value for key, value in delta.items() if key != "role"):
            self._spoke |= {index}
        if finish is not None and (not isinstance(finish, str) or finish not in FINISHES or _is_broken(choice)):
            choice = _finished(choice)
        if choice.get("logprobs") is not None and not self._text and not is_usual_logprobs(choice["logprobs"]):
            choice = {**choice, "logprobs": usual_logprobs(choice["logprobs"])}
        return choice

    def _from_message(self, index: int, choice: Json) -> Any:
        """The delta: the provider's own, or the new part of a `message` that was sent instead."""
        delta, message = choice.get("delta"), choice.get("message")
        if delta or not isinstance(message, dict):
            return delta
        if index in self._spoke and index not in self._told:
            return delta  # it repeats the streamed text at the end
        if isinstance(calls := message.get("tool_calls"), list):
            message = {
                **message,
                "tool_calls": [{"index": i, **one} for i, one in enumerate(calls) if isinstance(one, dict)],
            }
        if not isinstance(message.get("content"), str):
            self._told.setdefault(index, "")
            return message
        before, content = self._told.get(index, ""), message["content"]
        new = content.removeprefix(before) if content.startswith(before) else content
        self._told[index] = before + new
        return {**message, "content": new} if new or not before else {}


def _differ(one: Json, other: Any) -> bool:
    return one is not other


def _tidied(delta: Any) -> Json:
    """A value of any type in place of a delta: a text or parts become its content."""
    if not isinstance(delta, dict):
        delta = {"content": delta} if delta and isinstance(delta, str | list) else {}
    if isinstance(delta.get("content"), list | dict):
        delta = taken_apart(delta)
    return usual(delta)


def _finished(choice: Json) -> Json:
    """The choice with OpenAI's finish reason; the provider's own one is kept in another member."""
    reason, native = choice.get("finish_reason"), choice.get("native_finish_reason")
    finish = BROKEN if _is_broken(choice) else as_finish(reason)
    if finish is not None and finish != reason:
        choice = {**choice, "native_finish_reason": native or str(reason)}
    return {**choice, "finish_reason": finish}


def _is_broken(choice: Json) -> bool:
    """Whether a `stop` is really a failure: OpenRouter sends `stop` when the provider behind it broke off."""
    return choice["finish_reason"] == "stop" and as_finish(choice.get("native_finish_reason")) == BROKEN


def _usage_inside(choices: list[Any]) -> Json | None:
    """Usage inside a choice, where Moonshot and others send it."""
    found = [
        one["usage"] for one in choices if isinstance(one, dict) and "usage" in one and isinstance(one["usage"], dict)
    ]
    return usual_usage(found[-1]) if found and found[-1] else None


def _whole_seconds(value: Any) -> int | None:
    """A time of another type as OpenAI's integer; None if it is no time."""
    return int(value) if isinstance(value, float) and 0 < value < _LATEST else None
