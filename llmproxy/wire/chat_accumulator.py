"""Converts a stream of chunks to one JSON answer, and a JSON answer to a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llmproxy.core.chat import Json

_CHUNK_ONLY = frozenset(("id", "object", "created", "model", "choices", "usage", "obfuscation"))
# Members of a delta that have one value, even if it is sent several times; all other texts are pieces to be joined.
_ONCE = frozenset(("role", "type", "id", "name", "object", "model", "status", "phase", "channel", "provider"))
_JOINED = frozenset(("arguments", "data", "transcript"))
_OF_CALLS = frozenset(("arguments", "input", "name"))  # the normaliser sends only new parts of a name
_LISTS = frozenset(("annotations", "images", "citations", "content_parts", "native_annotations"))  # pieces of one list
_BODIES = ("function", "custom")  # of a call
_GROWING = ("audio", "function_call")  # objects of a message whose texts grow


class Pieces(list[str]):
    """A text that grows. It is joined once, at the end: joining with each piece copies the whole text each time."""


_TEXT = (str, Pieces, type(None))


class Accumulator:
    """Takes normalised chunks one after the other and builds the completion."""

    __slots__ = (
        "_choices",
        "_extras",
        "_head",
        "_usage",
    )

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
                kept[key] = _added_logprobs(kept.get(key) or {}, value)
            elif key not in ("index", "delta") and (value is not None or key not in kept):
                kept[key] = value


def _finished(choice: Json) -> Json:
    message = joined(choice["message"])
    message.setdefault("refusal", None)
    if "reasoning_details" in message:
        message["reasoning_details"] = [joined(detail) for detail in message["reasoning_details"]]
    if "tool_calls" in message:
        message["tool_calls"] = [_finished_call(call) for call in message["tool_calls"]]
        message["content"] = message["content"] or None
    message.update((key, joined(message[key])) for key in _GROWING if isinstance(message.get(key), dict))
    return {"logprobs": None, **choice, "message": message}


def _finished_call(call: Json) -> Json:
    return {key: joined(value) if key in _BODIES else value for key, value in call.items() if key != "index"}


def joined(entry: Json) -> Json:
    """The object, with the texts of its members joined."""
    return {key: "".join(value) if type(value) is Pieces else value for key, value in entry.items()}


def _add_delta(message: Json, delta: Json) -> None:
    for key, value in delta.items():
        if isinstance(value, str) and key not in _ONCE and isinstance(message.get(key), _TEXT):
            _append(message, key, value)
        elif key in _LISTS and isinstance(value, list):
            _extend(message, key, value)
        elif key == "reasoning_details" and isinstance(value, list):
            details = message[key] = message.get(key) or []
            add_details(details, value)
        elif key == "tool_calls":
            message[key] = _joined_calls(message.get(key) or [], value or ())
        elif key in _GROWING and isinstance(value, dict):
            message[key] = _grown(message.get(key) or {}, value)
        elif value is not None or key not in message:
            message[key] = value


def _joined_calls(calls: list[Json], pieces: Any) -> list[Json]:
    for piece in pieces:
        if piece["index"] >= len(calls):
            calls.append(dict(piece))
            continue
        call = calls[piece["index"]]
        grown = {kind: _grown(call.get(kind) or {}, piece.get(kind) or {}, _OF_CALLS) for kind in _BODIES}
        call.update({k: v for k, v in piece.items() if k not in ("index", *grown)})
        call.update({kind: body for kind, body in grown.items() if body})
    return calls


def _grown(kept: Json, piece: Json, joins: frozenset[str] = _JOINED) -> Json:
    """Pieces of arguments, of base64 audio and of its transcript are joined; all other values are replaced."""
    grown = dict(kept)
    for key, value in piece.items():
        if key in joins and isinstance(value, str) and isinstance(grown.get(key), _TEXT):
            _append(grown, key, value)
        else:
            grown[key] = value
    return grown


def _append(entry: Json, key: str, piece: str) -> None:
    kept = entry.get(key)
    if type(kept) is Pieces:
        kept.append(piece)
    else:
        entry[key] = Pieces((kept, piece)) if kept else Pieces((piece,))


def _extend(entry: Json, key: str, more: list[Any]) -> None:
    kept = entry.get(key)
    if kept and isinstance(kept, list):
        kept.extend(more)
    else:
        entry[key] = list(more)


def add_details(details: list[Json], pieces: list[Json]) -> None:
    """Adds pieces of OpenRouter's reasoning_details: texts with the same index and type are one, the signature comes last
    (recorded). The texts of `details` are Pieces until `joined`.
    """
    for piece in pieces:
        last = details[-1] if details else {}
        if (
            last
            and all(last.get(key) == piece.get(key) for key in ("type", "index"))
            and piece.get("type") != "reasoning.encrypted"
        ):
            for key, value in piece.items():
                if key in ("text", "summary") and isinstance(value, str) and isinstance(last.get(key), (str, Pieces)):
                    _append(last, key, value)
                elif value is not None:
                    last[key] = value
                else:
                    last.setdefault(key, None)
        else:
            details.append(dict(piece))


def _added_logprobs(kept: Json, piece: Json) -> Json:
    for key, value in piece.items():
        if isinstance(value, list):
            _extend(kept, key, value)
        else:
            kept.setdefault(key, value)
    return kept


def as_chunks(completion: Json) -> Iterator[Json]:
    """The chunks for an answer that was received as one JSON object."""
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
