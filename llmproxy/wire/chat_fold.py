"""Folds a stream of chunks into one JSON answer, and unfolds an answer into a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llmproxy.core.chat import Json

_CHUNK_ONLY = frozenset(("id", "object", "created", "model", "choices", "usage", "obfuscation"))
# Members of a delta that are said once, however often they come; every other text is pieces of one.
_ONCE = frozenset(("role", "type", "id", "name", "object", "model", "status", "phase", "channel", "provider"))
_JOINED = frozenset(("arguments", "data", "transcript"))
_OF_CALLS = frozenset(("arguments", "input", "name"))  # the normaliser gives what is new of a name
_LISTS = frozenset(("annotations", "images", "citations", "content_parts", "native_annotations"))  # pieces of one list


class Fold:
    """Takes normalised chunks, one after the other, and has the completion at the end."""

    def __init__(self) -> None:
        self._head: Json = {}
        self._extras: Json = {}
        self._choices: dict[int, Json] = {}
        self._usage: Json | None = None

    def add(self, chunk: Json) -> None:
        if not self._head:
            self._head = {key: chunk.get(key) for key in ("id", "created", "model")}
        self._extras.update((k, v) for k, v in chunk.items() if k not in _CHUNK_ONLY)
        if isinstance(chunk.get("usage"), dict):
            self._usage = chunk["usage"]
        for choice in chunk.get("choices") or ():
            self._add_choice(choice)

    def result(self) -> Json:
        """The chat.completion object; `usage` only if the provider sent one."""
        usage = {"usage": self._usage} if self._usage is not None else {}
        choices = [_finished(choice) for _, choice in sorted(self._choices.items())]
        return {
            "id": self._head.get("id"),
            "object": "chat.completion",
            "created": self._head.get("created"),
            "model": self._head.get("model"),
            "choices": choices,
            **usage,
            **self._extras,
        }

    def _add_choice(self, choice: Json) -> None:
        index = choice["index"]
        kept = self._choices.get(index)
        if kept is None:
            kept = self._choices[index] = {"index": index, "message": {"role": "assistant", "content": None}}
        _add_delta(kept["message"], choice.get("delta") or {})
        for key, value in choice.items():
            if key == "logprobs" and isinstance(value, dict):
                kept[key] = _joined_logprobs(kept.get(key) or {}, value)
            elif key not in ("index", "delta") and (value is not None or key not in kept):
                kept[key] = value


def _finished(choice: Json) -> Json:
    message = choice["message"]
    message.setdefault("refusal", None)
    if "tool_calls" in message:
        message["tool_calls"] = [{k: v for k, v in call.items() if k != "index"} for call in message["tool_calls"]]
        message["content"] = message["content"] or None
    return {"logprobs": None, **choice}


def _add_delta(message: Json, delta: Json) -> None:
    for key, value in delta.items():
        if isinstance(value, str) and key not in _ONCE and isinstance(message.get(key), str | None):
            message[key] = (message.get(key) or "") + value
        elif key in _LISTS and isinstance(value, list):
            message[key] = [*(message.get(key) or ()), *value]
        elif key == "reasoning_details" and isinstance(value, list):
            message[key] = joined_details(message.get(key) or [], value)
        elif key == "tool_calls":
            message[key] = _joined_calls(message.get(key) or [], value or ())
        elif key in ("audio", "function_call") and isinstance(value, dict):
            message[key] = _grown(message.get(key) or {}, value)
        elif value is not None or key not in message:
            message[key] = value


def _joined_calls(calls: list[Json], pieces: Any) -> list[Json]:
    for piece in pieces:
        if piece["index"] >= len(calls):
            calls.append(dict(piece))
            continue
        call = calls[piece["index"]]
        grown = {
            kind: _grown(call.get(kind) or {}, piece.get(kind) or {}, _OF_CALLS) for kind in ("function", "custom")
        }
        call.update({k: v for k, v in piece.items() if k not in ("index", *grown)})
        call.update({kind: body for kind, body in grown.items() if body})
    return calls


def _grown(kept: Json, piece: Json, joined: frozenset[str] = _JOINED) -> Json:
    """Pieces of arguments, of base64 audio and of its transcript are joined; anything else is said once."""
    grown = dict(kept)
    for key, value in piece.items():
        joins = key in joined and isinstance(value, str) and isinstance(kept.get(key), str)
        grown[key] = kept[key] + value if joins else value
    return grown


def joined_details(details: list[Json], pieces: list[Json]) -> list[Json]:
    """OpenRouter's reasoning_details: text of one index and type grows, its signature comes last (recorded)."""
    for piece in pieces:
        last = details[-1] if details else {}
        if (
            last
            and all(last.get(key) == piece.get(key) for key in ("type", "index"))
            and piece.get("type") != "reasoning.encrypted"
        ):
            for key, value in piece.items():
                joins = key in ("text", "summary") and isinstance(value, str) and isinstance(last.get(key), str)
                last[key] = last[key] + value if joins else (value if value is not None else last.get(key))
        else:
            details.append(dict(piece))
    return details


def _joined_logprobs(kept: Json, piece: Json) -> Json:
    joined = dict(kept)
    for key, value in piece.items():
        joined[key] = [*(kept.get(key) or ()), *value] if isinstance(value, list) else kept.get(key, value)
    return joined


def unfold(completion: Json) -> Iterator[Json]:
    """The chunks of an answer that came as one JSON object."""
    choices = [
        _opened(index, one) for index, one in enumerate(completion.get("choices") or ()) if isinstance(one, dict)
    ]
    yield {**completion, "object": "chat.completion.chunk", "choices": choices}


def _opened(position: int, choice: Json) -> Json:
    message = choice.get("message")
    delta = dict(message) if isinstance(message, dict) else {}
    calls = delta.get("tool_calls")
    if isinstance(calls, list):
        delta["tool_calls"] = [{"index": i, **call} for i, call in enumerate(calls) if isinstance(call, dict)]
    index = choice.get("index")
    rest = {k: v for k, v in choice.items() if k not in ("message", "delta")}
    return {**rest, "index": index if isinstance(index, int) else position, "delta": delta}
