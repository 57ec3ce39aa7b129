"""Block events: what the chunks and marks of one answer say, as blocks that follow each other, for every encoder but chat's.

Begun comes first and once. Indexes are 0, 1, 2, ... without a gap; at most one block is open; every Opened has one Closed,
and a signature comes with it; nothing grows after Closed; the arguments of a call are complete JSON at Closed, unless the
answer was cut by its limit. Counted is cumulative. Finished comes once, after the last Closed. Only choice 0 is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from llmproxy.core.chat import Json
from llmproxy.core.errors import Malformed
from llmproxy.core.marks import mark_of

from .chat_fold import joined_details
from .finish_reasons import as_finish
from .normalise.json_end import JsonEnd

Kind = Literal["text", "refusal", "reasoning", "tool_call", "custom_tool_call", "image", "audio", "opaque"]
CALLS = frozenset(("tool_call", "custom_tool_call"))
_CUT = frozenset(("length", "content_filter"))


@dataclass(slots=True)
class Begun:
    """The answer begins. `usage` is what the provider said of it at the start, empty if nothing."""

    id: str
    model: str
    usage: Json


@dataclass(slots=True)
class Opened:
    """A block begins. meta: what was said of it beside id and name (`item`, `part`, `block`, `call_id`)."""

    index: int
    kind: Kind
    id: str
    name: str
    meta: Json


@dataclass(slots=True)
class Grew:
    """The open block has more of `field`: text, arguments, summary or data."""

    index: int
    field: str
    piece: str


@dataclass(slots=True)
class Noted:
    """Something that belongs to the open block: `annotations`, `logprobs`, or what a mark's note has."""

    index: int
    note: Json


@dataclass(slots=True)
class Closed:
    """The open block ends. seal: `signature`, `data`, `details`, `extra_content`, `image`, `item`, as far as they were given."""

    index: int
    seal: Json


@dataclass(slots=True)
class Counted:
    """OpenAI's usage object so far."""

    usage: Json


@dataclass(slots=True)
class Finished:
    """OpenAI's finish reason, the provider's own word if it is known, and what was said of the whole answer."""

    reason: str
    native: str | None
    message: Json


BlockEvent = Begun | Opened | Grew | Noted | Closed | Counted | Finished


@dataclass(slots=True)
class _Open:
    index: int
    kind: Kind
    key: Any
    said: JsonEnd | None = None
    details: list[Json] = field(default_factory=list)
    seal: Json = field(default_factory=dict)


class _Piece(NamedTuple):
    """Something of a block that may have to wait until the open call is complete."""

    kind: Kind
    key: Any
    id: str
    name: str
    meta: Json
    field: str = "text"
    text: str = ""
    whole: bool = False  # the block ends with it; `meta` is its seal too


class Blocks:
    """Fed with the normalised chunks of one answer; their marks are believed."""

    def __init__(self) -> None:
        self._begun = False
        self._next = 0
        self._open: _Open | None = None
        self._pending: Json | None = None  # a mark's `open` whose block has not begun
        self._waiting: list[_Piece] = []
        self._ended: set[Any] = set()  # keys of the calls that are closed
        self._sealed: set[str] = set()  # of the calls whose own signature was given
        self._reason = ""
        self._message: Json = {}
        self._annotations: list[Any] = []  # that came while no text was open

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

    def finish(self) -> Iterator[BlockEvent]:
        """The answer is complete. Raises Malformed where a call's arguments are not."""
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
        """What a mark says that comes before its chunk's delta."""
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
                return  # it would have to be cut; what it says of the call is said once more with the call
            yield from self._begin("reasoning", "reasoning", "", "", {})
        if self._open is not None:
            self._open.details = joined_details(self._open.details, [dict(one) for one in details])

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
        """What is bound to a call, as Gemini's signature is, goes into a block of reasoning before it."""
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
        """Puts it where it belongs, or keeps it until the open call is complete."""
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
            if self._open.said is not None:
                self._open.said.feed(piece.text)
            yield Grew(self._open.index, piece.field, piece.text)

    def _begin(self, kind: Kind, key: Any, id: str, name: str, meta: Json) -> Iterator[BlockEvent]:
        pending, self._pending = self._pending or {}, None
        more = {k: v for k, v in pending.items() if k not in ("kind", "id", "name")}
        yield from self._close()
        said = JsonEnd() if kind == "tool_call" else None
        self._open = _Open(self._next, kind, kind if key is None else key, said)
        self._next += 1
        yield Opened(self._open.index, kind, pending.get("id") or id, pending.get("name") or name, {**more, **meta})

    def _opaque(self, opaque: Json) -> Iterator[BlockEvent]:
        yield from self._close_complete()
        yield Opened(self._next, "opaque", "", "", dict(opaque))
        yield Closed(self._next, {})
        self._next += 1

    def _close_complete(self) -> Iterator[BlockEvent]:
        """Before a block that was announced: what waits behind an open call comes first."""
        if self._waiting:
            yield from self._drain()
        yield from self._close()

    def _close(self) -> Iterator[BlockEvent]:
        open, self._open = self._open, None
        if open is None:
            return
        if open.said is not None:
            self._ended.add(open.key)
            if open.said.state == "empty":
                yield Grew(open.index, "arguments", "{}")
            elif open.said.state != "whole" and self._reason not in _CUT:
                raise Malformed("The arguments of the provider's tool call are not complete.")
        elif open.kind == "custom_tool_call":
            self._ended.add(open.key)
        if open.details:
            open.seal = {"details": open.details, **open.seal}
        yield Closed(open.index, open.seal)


_TEXTS: tuple[tuple[str, Kind], ...] = (("content", "text"), ("refusal", "refusal"))
_THOUGHTS = frozenset(("reasoning_content", "reasoning_details"))
_OTHERS = frozenset(("images", "audio", "tool_calls", "function_call", "annotations"))
_OF_CALLS = frozenset(("index", "id", "type", "function", "custom"))
_KINDS = frozenset(("text", "refusal", "reasoning", "tool_call", "custom_tool_call", "image", "audio"))


def reason_of(choice: Json) -> str:
    """Why a choice ends. OpenRouter says `tool_calls` also where the limit has cut the call, and then the limit only in the
    provider's own word (recorded)."""
    finish, native = str(choice["finish_reason"]), choice.get("native_finish_reason")
    cut = finish in ("tool_calls", "stop") and isinstance(native, str) and as_finish(native) == "length"
    return "length" if cut else finish


def _complete(open: _Open) -> bool:
    """Whether a call may be closed now. A custom call's input is any text, so it ends where another block begins."""
    return open.said is None or open.said.state == "whole"


def _kind(pending: Json) -> Kind:
    kind = pending.get("kind")
    return kind if kind in _KINDS else "text"


def _part(pending: Json | None) -> Any:
    return pending.get("part") if pending is not None else None


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
