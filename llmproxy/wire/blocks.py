"""Makes block events of the chunks and marks of one answer. block_events.py has the events and their rules.

Only choice 0 is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from llmproxy.core.chat import Json
from llmproxy.core.errors import Malformed
from llmproxy.core.marks import mark_of

from .block_events import (
    CALLS,
    Begun,
    BlockEvent,
    Closed,
    Counted,
    Finished,
    Grew,
    Kind,
    Noted,
    Opened,
)
from .chat_accumulator import add_details, joined
from .finish_reasons import as_finish
from .normalise.further import piece_of
from .normalise.json_end import JsonEnd

_CUT = frozenset(("length", "content_filter"))


@dataclass(slots=True)
class _Open:
    index: int
    kind: Kind
    key: Any
    arguments: JsonEnd | None = None
    details: list[Json] = field(default_factory=list)
    seal: Json = field(default_factory=dict)


class _Piece(NamedTuple):
    """A part of a block that may have to wait until the open call is complete."""

    kind: Kind
    key: Any
    id: str
    name: str
    meta: Json
    field: str = "text"
    text: str = ""
    whole: bool = False  # the block ends with it; `meta` is also its seal


class Blocks:
    """Takes the normalised chunks of one answer and returns block events. Marks are trusted."""

    def __init__(self) -> None:
        self._begun = False
        self._next = 0
        self._open: _Open | None = None
        self._pending: Json | None = None  # a mark's `open` whose block has not begun yet
        self._waiting: list[_Piece] = []
        self._ended: set[Any] = set()  # keys of closed calls
        self._sealed: set[str] = set()  # calls that got their own signature
        self._reason = ""
        self._message: Json = {}
        self._annotations: list[Any] = []  # received while no text block was open

    def feed(self, chunk: Json) -> Iterator[BlockEvent]:
        """Raises Malformed for a call that goes on after its end."""
        mark = mark_of(chunk)
        if not self._begun:
            self._begun = True
            begin = mark.get("begin") or {}
            yield Begun(begin.get("id") or chunk.get("id") or "", begin.get("model") or chunk.get("model") or "",
                        begin.get("usage") or {})  # fmt: skip
        for choice in chunk.get("choices") or ():
            if isinstance(choice, dict) and choice.get("index", 0) == 0:
                yield from self._choice(choice, mark)
        if isinstance(chunk.get("usage"), dict) and chunk["usage"]:
            yield Counted(chunk["usage"])

    def further(self, chunk: Json) -> Grew | None:
        """What `feed` would give of the chunk, if it is only more of the open block. None: it needs `feed`."""
        open = self._open
        if open is None or self._waiting or self._pending is not None or (piece := piece_of(chunk)) is None:
            return None
        choice, member, text, number = piece
        if choice or open.key != (("call", number) if number >= 0 else _KEYS[member]):
            return None
        if number >= 0:
            if open.arguments is None:
                return None
            open.arguments.feed(text)
            return Grew(open.index, "arguments", text)
        delta = chunk["choices"][0]["delta"]
        if "reasoning_details" in delta:
            add_details(open.details, delta["reasoning_details"])
        return Grew(open.index, "text", text)

    def finish(self) -> Iterator[BlockEvent]:
        """Ends a complete answer. Raises Malformed if the arguments of a call are incomplete."""
        yield from self._close()
        waiting, self._waiting = self._waiting, []
        while waiting:
            key = waiting[0].key
            for piece in [one for one in waiting if one.key == key]:
                yield from self._put(piece)
            yield from self._close()
            waiting = [one for one in waiting if one.key != key]
        message = dict(self._message)
        if self._annotations:
            message["annotations"] = self._annotations
        yield Finished(self._reason or "stop", message.pop("native_finish_reason", None), message)

    def _choice(self, choice: Json, mark: Json) -> Iterator[BlockEvent]:
        if isinstance(choice.get("native_finish_reason"), str):
            self._message["native_finish_reason"] = choice["native_finish_reason"]
        if isinstance(choice.get("finish_reason"), str):
            self._reason = reason_of(choice)
        if mark:
            yield from self._before(mark)
        delta = choice.get("delta")
        if isinstance(delta, dict) and delta:
            yield from self._delta(delta)
        if self._pending is not None:
            yield from self._begin(_kind(self._pending), None, "", "", {})
        if mark and isinstance(mark.get("note"), dict) and self._open is not None:
            yield Noted(self._open.index, mark["note"])
        if isinstance(choice.get("logprobs"), dict) and self._open is not None and self._open.kind == "text":
            yield Noted(self._open.index, {"logprobs": choice["logprobs"]})
        if mark and isinstance(mark.get("close"), dict) and self._open is not None:
            self._open.seal |= mark["close"]
            yield from self._close()

    def _before(self, mark: Json) -> Iterator[BlockEvent]:
        """The parts of a mark that come before its chunk's delta."""
        if isinstance(mark.get("message"), dict):
            self._message |= mark["message"]
        if isinstance(mark.get("opaque"), dict):
            yield from self._opaque(mark["opaque"])
        if isinstance(mark.get("open"), dict):
            yield from self._close_complete()
            self._pending = mark["open"]

    def _delta(self, delta: Json) -> Iterator[BlockEvent]:
        if not _THOUGHTS.isdisjoint(delta):
            yield from self._reasoning(delta)
        for key, kind in _TEXTS:
            if key in delta and isinstance(delta[key], str) and delta[key]:
                yield from self._take(_Piece(kind, kind, "", "", {}, text=delta[key]))
        if not _OTHERS.isdisjoint(delta):
            yield from self._others(delta)

    def _others(self, delta: Json) -> Iterator[BlockEvent]:
        for image in _objects(delta.get("images")):
            yield from self._take(_Piece("image", "image", "", "", {"image": image}, whole=True))
        if isinstance(delta.get("audio"), dict):
            yield from self._audio(delta["audio"])
        for call in _objects(delta.get("tool_calls")):
            yield from self._call(call)
        if isinstance(delta.get("function_call"), dict):
            yield from self._call({"index": -1, "id": "", "function": delta["function_call"]})
        if annotations := _objects(delta.get("annotations")):
            yield from self._annotated(annotations)

    def _reasoning(self, delta: Json) -> Iterator[BlockEvent]:
        text = delta.get("reasoning_content")
        details = _objects(delta.get("reasoning_details"))
        if isinstance(text, str) and text:
            field = "summary" if _part(self._pending) == "summary" else "text"
            yield from self._take(_Piece("reasoning", "reasoning", "", "", {}, field, text))
        if not details:
            return
        if self._open is None or self._open.kind != "reasoning":
            if self._open is not None and self._open.kind in CALLS and not _complete(self._open):
                return  # it would have to be split; its content is sent again with the call
            yield from self._begin("reasoning", "reasoning", "", "", {})
        if self._open is not None:
            add_details(self._open.details, details)

    def _audio(self, audio: Json) -> Iterator[BlockEvent]:
        for member in ("transcript", "data"):
            if isinstance(audio.get(member), str) and audio[member]:
                yield from self._take(
                    _Piece("audio", "audio", str(audio.get("id") or ""), "", {}, member, audio[member])
                )

    def _call(self, call: Json) -> Iterator[BlockEvent]:
        custom = isinstance(call.get("custom"), dict)
        body = call["custom"] if custom else _object(call.get("function"))
        kind: Kind = "custom_tool_call" if custom else "tool_call"
        text = body.get("input" if custom else "arguments")
        key, id = ("call", call.get("index", 0)), str(call.get("id") or "")
        text = text if isinstance(text, str) else ""
        if extra := {k: v for k, v in call.items() if k not in _OF_CALLS and v is not None}:
            yield from self._signed(key, id, extra)
        name = body.get("name") if isinstance(body.get("name"), str) else ""
        yield from self._take(_Piece(kind, key, id, name or "", {}, "arguments", text))

    def _signed(self, key: Any, id: str, extra: Json) -> Iterator[BlockEvent]:
        """A signature of a call, as Gemini sends it, goes into a block of reasoning before the call."""
        if key in self._ended or str(key) in self._sealed or (self._open is not None and self._open.key == key):
            return
        self._sealed.add(str(key))
        yield from self._take(_Piece("reasoning", ("signed", key), "", "", {"call_id": id, **extra}, whole=True))

    def _annotated(self, annotations: list[Json]) -> Iterator[BlockEvent]:
        if self._open is not None and self._open.kind == "text":
            yield Noted(self._open.index, {"annotations": annotations})
        else:
            self._annotations += annotations

    def _take(self, piece: _Piece) -> Iterator[BlockEvent]:
        """Adds a part to its block, or keeps it until the open call is complete."""
        if piece.key in self._ended:
            if piece.text.strip() not in ("", "{}"):
                raise Malformed("The provider's tool call goes on after another block has begun.")
            return
        open = self._open
        if open is not None and (open.key != piece.key or self._pending is not None):
            if open.kind in CALLS and not _complete(open):
                self._waiting.append(piece)
                return
            yield from self._close()
        if self._waiting and any(one.key == piece.key for one in self._waiting):
            self._waiting.append(piece)
        else:
            yield from self._put(piece)
        if self._waiting and self._open is not None and self._open.kind in CALLS and _complete(self._open):
            yield from self._drain()

    def _drain(self) -> Iterator[BlockEvent]:
        yield from self._close()
        waiting, self._waiting = self._waiting, []
        for piece in waiting:
            yield from self._take(piece)

    def _put(self, piece: _Piece) -> Iterator[BlockEvent]:
        if self._open is None or self._open.key != piece.key:
            yield from self._close()
            yield from self._begin(piece.kind, piece.key, piece.id, piece.name, piece.meta)
        assert self._open is not None
        if piece.whole:
            self._open.seal |= piece.meta
            yield from self._close()
        elif piece.text:
            if self._open.arguments is not None:
                self._open.arguments.feed(piece.text)
            yield Grew(self._open.index, piece.field, piece.text)

    def _begin(self, kind: Kind, key: Any, id: str, name: str, meta: Json) -> Iterator[BlockEvent]:
        pending, self._pending = self._pending or {}, None
        more = {k: v for k, v in pending.items() if k not in ("kind", "id", "name")}
        yield from self._close()
        json_end = JsonEnd() if kind == "tool_call" else None
        self._open = _Open(self._next, kind, kind if key is None else key, json_end)
        self._next += 1
        yield Opened(self._open.index, kind, pending.get("id") or id, pending.get("name") or name, {**more, **meta})

    def _opaque(self, opaque: Json) -> Iterator[BlockEvent]:
        yield from self._close_complete()
        yield Opened(self._next, "opaque", "", "", dict(opaque))
        yield Closed(self._next, {})
        self._next += 1

    def _close_complete(self) -> Iterator[BlockEvent]:
        """Before an announced block begins, the parts that wait for the open call are sent."""
        if self._waiting:
            yield from self._drain()
        yield from self._close()

    def _close(self) -> Iterator[BlockEvent]:
        open, self._open = self._open, None
        if open is None:
            return
        if open.arguments is not None:
            self._ended.add(open.key)
            if open.arguments.state == "empty":
                yield Grew(open.index, "arguments", "{}")
            elif open.arguments.state != "whole" and self._reason not in _CUT:
                raise Malformed("The arguments of the provider's tool call are not complete.")
        elif open.kind == "custom_tool_call":
            self._ended.add(open.key)
        if open.details:
            open.seal = {"details": [joined(one) for one in open.details], **open.seal}
        yield Closed(open.index, open.seal)


_KEYS = {"content": "text", "reasoning_content": "reasoning"}
_TEXTS: tuple[tuple[str, Kind], ...] = (("content", "text"), ("refusal", "refusal"))
_THOUGHTS = frozenset(("reasoning_content", "reasoning_details"))
_OTHERS = frozenset(("images", "audio", "tool_calls", "function_call", "annotations"))
_OF_CALLS = frozenset(("index", "id", "type", "function", "custom"))
_KINDS = frozenset(("text", "refusal", "reasoning", "tool_call", "custom_tool_call", "image", "audio"))


def reason_of(choice: Json) -> str:
    """Why a choice ends. OpenRouter sends `tool_calls` even if the limit has cut the call; then only the provider's own reason
    mentions the limit (recorded).
    """
    finish, native = str(choice["finish_reason"]), choice.get("native_finish_reason")
    cut = finish in ("tool_calls", "stop") and isinstance(native, str) and as_finish(native) == "length"
    return "length" if cut else finish


def _complete(open: _Open) -> bool:
    """Whether a call may be closed now. The input of a custom call may be any text, so it ends where another block begins."""
    return open.arguments is None or open.arguments.state == "whole"


def _kind(pending: Json) -> Kind:
    kind = pending.get("kind")
    return kind if kind in _KINDS else "text"


def _part(pending: Json | None) -> Any:
    return pending.get("part") if pending is not None else None


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
