"""Decodes the content blocks of a Messages answer, piece by piece, to chat deltas with marks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import orjson

from llmproxy.core.chat import Json
from llmproxy.core.marks import marked

from .tables import FORMAT, NAME
from .tool_names import MessagesToolNames


class Turn:
    """State that the blocks of one answer share: counters by kind."""

    def __init__(self, names: MessagesToolNames, customs: frozenset[str]) -> None:
        self.names = names
        self.customs = customs
        self.characters = 0
        self.calls = 0
        self.thoughts = 0


class Block(Protocol):
    """One block. `raw` returns the whole block, in the form in which the provider wants it back."""

    def __init__(self, block: Json, turn: Turn) -> None: ...

    def start(self) -> Iterable[Json]: ...

    def grow(self, delta: Json) -> Iterable[Json]: ...

    def stop(self) -> Iterable[Json]: ...

    def raw(self) -> Json: ...


class Text:
    def __init__(self, block: Json, turn: Turn) -> None:
        self._block = block
        self._turn = turn
        self._from = turn.characters
        self._pieces: list[str] = []
        self._citations: list[Json] = []

    def start(self) -> Iterator[Json]:
        given = _text(self._block.get("text"))
        yield marked({"content": self._add(given)} if given else {}, {"open": {"kind": "text"}})
        for citation in _objects(self._block.get("citations")):
            self._citations.append(citation)

    def grow(self, delta: Json) -> Iterable[Json]:
        if piece := _text(delta.get("text")):
            return (_chunk({"content": self._add(piece)}),)
        if isinstance(delta.get("citation"), dict):
            self._citations.append(delta["citation"])
        return ()

    def stop(self) -> Iterator[Json]:
        """Citations arrive before the text that they belong to (recorded), so they are sent when it is complete."""
        mark: Json = {"close": {}}
        if self._citations:
            mark["note"] = {"citations": self._citations}
        annotations = url_citations(self._citations, self._from, self._turn.characters)
        yield marked({"annotations": annotations} if annotations else {}, mark)

    def raw(self) -> Json:
        cited = {"citations": self._citations} if self._citations or "citations" in self._block else {}
        return {**self._block, "text": "".join(self._pieces), **cited}

    def _add(self, piece: str) -> str:
        self._pieces.append(piece)
        self._turn.characters += len(piece)
        return piece


class Thinking:
    """Sends thoughts as `reasoning_content`, and in `reasoning_details`, which clients send back."""

    def __init__(self, block: Json, turn: Turn) -> None:
        self._block = block
        self._index = turn.thoughts
        turn.thoughts += 1
        self._pieces: list[str] = []
        self._signature = ""

    def start(self) -> Iterator[Json]:
        self._signature = _text(self._block.get("signature"))
        yield marked(self._shown(_text(self._block.get("thinking"))), {"open": {"kind": "reasoning"}})

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
        return {**self._block, "thinking": "".join(self._pieces), "signature": self._signature}

    def _shown(self, piece: str) -> Json:
        if not piece:
            return {}
        delta = {"reasoning_content": piece, "reasoning_details": [self._detail({"text": piece})]}
        self._pieces.append(piece)
        return delta

    def _detail(self, members: Json) -> Json:
        """Only the first piece has the format, because OpenAI's accumulator joins texts that are repeated."""
        first = {} if self._pieces else {"format": FORMAT}
        return {"type": "reasoning.text", **members, **first, "index": self._index}


class Redacted:
    def __init__(self, block: Json, turn: Turn) -> None:
        self._block = block
        self._index = turn.thoughts
        turn.thoughts += 1

    def start(self) -> Iterator[Json]:
        data = _text(self._block.get("data"))
        detail = {"type": "reasoning.encrypted", "data": data, "format": FORMAT, "index": self._index}
        yield marked({"reasoning_details": [detail]}, {"open": {"kind": "reasoning"}, "close": {"data": data}})

    def grow(self, delta: Json) -> Iterable[Json]:
        return ()

    def stop(self) -> Iterable[Json]:
        return ()

    def raw(self) -> Json:
        return self._block


class Call:
    """A call of a client's tool. The input of a custom tool is a text inside JSON, so it is sent when it is complete."""

    def __init__(self, block: Json, turn: Turn) -> None:
        self._block = block
        self._index = turn.calls
        turn.calls += 1
        self._id = _text(block.get("id"))
        self._name = turn.names.ours(_text(block.get("name")))
        self._custom = self._name in turn.customs
        self._pieces: list[str] = []

    def start(self) -> Iterator[Json]:
        given = _input(self._block.get("input"))
        if given:
            self._pieces.append(given)
        if self._custom:
            return
        call = {"index": self._index, "id": self._id, "type": "function"}
        body = {"name": self._name, "arguments": given}
        item = {"item": {"caller": self._block["caller"]}} if self._block.get("caller") else {}
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
        return {**self._block, "input": _parsed("".join(self._pieces))}

    def _written(self) -> str:
        """The text in `input`, the only member of a custom tool; the raw text if the model did not write that member."""
        said = "".join(self._pieces)
        given = _parsed(said).get("input")
        return given if isinstance(given, str) else said


class Other:
    """A block that only this dialect has: a tool that the provider ran, its result, a compaction."""

    def __init__(self, block: Json, turn: Turn) -> None:
        self._block = dict(block)
        self._input: list[str] = []

    def start(self) -> Iterable[Json]:
        return ()

    def grow(self, delta: Json) -> Iterable[Json]:
        for name, piece in delta.items():
            if name == "partial_json":
                self._input.append(_text(piece))
            elif name != "type" and isinstance(piece, str):
                self._block[name] = _text(self._block.get(name)) + piece
        return ()

    def stop(self) -> Iterator[Json]:
        yield marked({}, {"opaque": {"dialect": NAME, "block": self.raw()}})

    def raw(self) -> Json:
        given = "".join(self._input)
        return {**self._block, "input": _parsed(given)} if given else self._block


KINDS: Mapping[str, type[Block]] = {
    "text": Text,
    "thinking": Thinking,
    "redacted_thinking": Redacted,
    "tool_use": Call,
}


def url_citations(citations: list[Json], start: int, end: int) -> list[Json]:
    """The cited URLs of a text, each once."""
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
    """Arguments sent with the start of a block; `{}` means that none were sent yet."""
    return orjson.dumps(value).decode() if isinstance(value, dict) and value else ""


def _parsed(text: str) -> Json:
    """The object in a JSON text; empty for an empty or incomplete text."""
    try:
        parsed = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
