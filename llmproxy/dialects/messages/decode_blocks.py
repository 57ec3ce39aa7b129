"""The content blocks of a Messages answer, each read piece by piece into chat deltas with marks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import orjson

from llmproxy.core.chat import Json
from llmproxy.core.marks import marked

from .tables import FORMAT, NAME
from .tool_names import MessagesToolNames


class Turn:
    """What the blocks of one answer share: how much there is of each kind so far."""

    def __init__(self, names: MessagesToolNames, customs: frozenset[str]) -> None:
        self.names = names
        self.customs = customs
        self.characters = 0
        self.calls = 0
        self.thoughts = 0


class Block(Protocol):
    """One block. `raw` is the whole of it as the provider would want it back."""

    def __init__(self, said: Json, turn: Turn) -> None: ...

    def start(self) -> Iterable[Json]: ...

    def grow(self, delta: Json) -> Iterable[Json]: ...

    def stop(self) -> Iterable[Json]: ...

    def raw(self) -> Json: ...


class Text:
    def __init__(self, said: Json, turn: Turn) -> None:
        self._said = said
        self._turn = turn
        self._from = turn.characters
        self._pieces: list[str] = []
        self._citations: list[Json] = []

    def start(self) -> Iterator[Json]:
        given = _text(self._said.get("text"))
        yield marked({"content": self._add(given)} if given else {}, {"open": {"kind": "text"}})
        for citation in _objects(self._said.get("citations")):
            self._citations.append(citation)

    def grow(self, delta: Json) -> Iterable[Json]:
        if piece := _text(delta.get("text")):
            return (_chunk({"content": self._add(piece)}),)
        if isinstance(delta.get("citation"), dict):
            self._citations.append(delta["citation"])
        return ()

    def stop(self) -> Iterator[Json]:
        """Citations come before the text that rests on them (recorded), so they are told when it is whole."""
        mark: Json = {"close": {}}
        if self._citations:
            mark["note"] = {"citations": self._citations}
        annotations = url_citations(self._citations, self._from, self._turn.characters)
        yield marked({"annotations": annotations} if annotations else {}, mark)

    def raw(self) -> Json:
        cited = {"citations": self._citations} if self._citations or "citations" in self._said else {}
        return {**self._said, "text": "".join(self._pieces), **cited}

    def _add(self, piece: str) -> str:
        self._pieces.append(piece)
        self._turn.characters += len(piece)
        return piece


class Thinking:
    """Shown under the chat's name for it, and once more in `reasoning_details`, which clients give back."""

    def __init__(self, said: Json, turn: Turn) -> None:
        self._said = said
        self._index = turn.thoughts
        turn.thoughts += 1
        self._pieces: list[str] = []
        self._signature = ""

    def start(self) -> Iterator[Json]:
        self._signature = _text(self._said.get("signature"))
        yield marked(self._shown(_text(self._said.get("thinking"))), {"open": {"kind": "reasoning"}})

    def grow(self, delta: Json) -> Iterable[Json]:
        if signature := _text(delta.get("signature")):
            self._signature = signature
        shown = self._shown(_text(delta.get("thinking")))
        return (_chunk(shown),) if shown else ()

    def stop(self) -> Iterator[Json]:
        if not self._signature:
            yield marked({}, {"close": {}})
            return
        detail = self._detail({} if self._pieces else {"text": ""}) | {"signature": self._signature}
        yield marked({"reasoning_details": [detail]}, {"close": {"signature": self._signature}})

    def raw(self) -> Json:
        return {**self._said, "thinking": "".join(self._pieces), "signature": self._signature}

    def _shown(self, piece: str) -> Json:
        if not piece:
            return {}
        delta = {"reasoning_content": piece, "reasoning_details": [self._detail({"text": piece})]}
        self._pieces.append(piece)
        return delta

    def _detail(self, members: Json) -> Json:
        """The format goes with the first: OpenAI's accumulator joins texts that are said again."""
        first = {} if self._pieces else {"format": FORMAT}
        return {"type": "reasoning.text", **members, **first, "index": self._index}


class Redacted:
    def __init__(self, said: Json, turn: Turn) -> None:
        self._said = said
        self._index = turn.thoughts
        turn.thoughts += 1

    def start(self) -> Iterator[Json]:
        data = _text(self._said.get("data"))
        detail = {"type": "reasoning.encrypted", "data": data, "format": FORMAT, "index": self._index}
        yield marked({"reasoning_details": [detail]}, {"open": {"kind": "reasoning"}, "close": {"data": data}})

    def grow(self, delta: Json) -> Iterable[Json]:
        return ()

    def stop(self) -> Iterable[Json]:
        return ()

    def raw(self) -> Json:
        return self._said


class Call:
    """A client's tool. A custom tool's input is text inside of JSON, so it is given when it is whole."""

    def __init__(self, said: Json, turn: Turn) -> None:
        self._said = said
        self._index = turn.calls
        turn.calls += 1
        self._id = _text(said.get("id"))
        self._name = turn.names.ours(_text(said.get("name")))
        self._custom = self._name in turn.customs
        self._pieces: list[str] = []

    def start(self) -> Iterator[Json]:
        given = _input(self._said.get("input"))
        if given:
            self._pieces.append(given)
        if self._custom:
            return
        call = {"index": self._index, "id": self._id, "type": "function"}
        body = {"name": self._name, "arguments": given}
        item = {"item": {"caller": self._said["caller"]}} if self._said.get("caller") else {}
        opened = {"kind": "tool_call", "id": self._id, "name": self._name, **item}
        yield marked({"tool_calls": [{**call, "function": body}]}, {"open": opened})

    def grow(self, delta: Json) -> Iterable[Json]:
        piece = _text(delta.get("partial_json"))
        if not piece:
            return ()
        self._pieces.append(piece)
        if self._custom:
            return ()
        return (_chunk({"tool_calls": [{"index": self._index, "function": {"arguments": piece}}]}),)

    def stop(self) -> Iterator[Json]:
        if not self._custom:
            yield marked({}, {"close": {}})
            return
        body = {"name": self._name, "input": self._written()}
        call = {"index": self._index, "id": self._id, "type": "custom", "custom": body}
        opened = {"kind": "custom_tool_call", "id": self._id, "name": self._name}
        yield marked({"tool_calls": [call]}, {"open": opened, "close": {}})

    def raw(self) -> Json:
        return {**self._said, "input": _parsed("".join(self._pieces))}

    def _written(self) -> str:
        """The text in the one member that the tool was declared with; what is not in it is taken as it is."""
        said = "".join(self._pieces)
        given = _parsed(said).get("input")
        return given if isinstance(given, str) else said


class Other:
    """A block that only this dialect has: a tool that the provider ran, its result, a compaction."""

    def __init__(self, said: Json, turn: Turn) -> None:
        self._said = dict(said)
        self._input: list[str] = []

    def start(self) -> Iterable[Json]:
        return ()

    def grow(self, delta: Json) -> Iterable[Json]:
        for name, piece in delta.items():
            if name == "partial_json":
                self._input.append(_text(piece))
            elif name != "type" and isinstance(piece, str):
                self._said[name] = _text(self._said.get(name)) + piece
        return ()

    def stop(self) -> Iterator[Json]:
        yield marked({}, {"opaque": {"dialect": NAME, "block": self.raw()}})

    def raw(self) -> Json:
        given = "".join(self._input)
        return {**self._said, "input": _parsed(given)} if given else self._said


KINDS: Mapping[str, type[Block]] = {
    "text": Text,
    "thinking": Thinking,
    "redacted_thinking": Redacted,
    "tool_use": Call,
}


def url_citations(citations: list[Json], start: int, end: int) -> list[Json]:
    """The addresses that a piece of text rests on, each once."""
    found: dict[str, Json] = {}
    for one in citations:
        url = _text(one.get("url")) or _text(one.get("source"))
        if url.startswith(("http://", "https://")) and url not in found:
            quoted = {"content": one["cited_text"]} if _text(one.get("cited_text")) else {}
            place = {"start_index": start, "end_index": end}
            found[url] = {"url": url, "title": _text(one.get("title")), **place, **quoted}
    return [{"type": "url_citation", "url_citation": one} for one in found.values()]


def _chunk(delta: Json) -> Json:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _objects(value: object) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _input(value: object) -> str:
    """Arguments that came with the start; there `{}` stands for none yet."""
    return orjson.dumps(value).decode() if isinstance(value, dict) and value else ""


def _parsed(text: str) -> Json:
    """The object that a text is; empty for what was cut, and for none."""
    try:
        parsed = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
