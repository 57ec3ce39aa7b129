"""The items of one answer. Each returns its own events, in the order of OpenAI's streams.

An event is its type and its members; the encoder adds the number. An item begins with its first piece, so that an empty
one is not in the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import orjson

from llmproxy.core.chat import Json

from .built_in import BUILT_IN, as_call
from .ids import fresh
from .tools import Tool

Event = tuple[str, Json]

_DELTA = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":'


class Item(Protocol):
    """One item of the answer."""

    @property
    def value(self) -> Json:
        """The item in its present state."""
        ...

    def close(self, status: str) -> Iterator[Event]:
        """The events at its end."""
        ...


class Message:
    """An assistant message: texts and refusals as consecutive parts."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.value: Json = {"id": fresh("msg"), "type": "message", "status": "in_progress", "role": "assistant"}
        self._parts: list[Json] = []
        self._pieces: list[str] = []
        self._logprobs: list[Any] = []
        self.value["content"] = self._parts

    def begin(self) -> Iterator[Event]:
        yield "response.output_item.added", {"output_index": self.index, "item": {**self.value, "content": []}}

    def text(self, piece: str) -> Iterator[Event]:
        yield from self._part("output_text")
        self._pieces.append(piece)
        yield "response.output_text.delta", {**self._place, "delta": piece, "logprobs": []}

    def more(self, piece: str, number: int) -> bytes | None:
        """The encoded event for more of the open text; None if no text is open."""
        if not self._parts or self._parts[-1]["type"] != "output_text":
            return None
        self._pieces.append(piece)
        return b"%b%d,%b%b}\n\n" % (_DELTA, number, self._placed, orjson.dumps(piece))

    def refusal(self, piece: str) -> Iterator[Event]:
        yield from self._part("refusal")
        self._pieces.append(piece)
        yield "response.refusal.delta", {**self._place, "delta": piece}

    def annotate(self, annotations: list[Json]) -> Iterator[Event]:
        yield from self._part("output_text")
        for one in annotations:
            kept = self._parts[-1]["annotations"]
            kept.append(one)
            members = {**self._place, "annotation_index": len(kept) - 1, "annotation": one}
            yield "response.output_text.annotation.added", members

    def add_logprobs(self, logprobs: list[Any]) -> None:
        self._logprobs += logprobs

    def close(self, status: str) -> Iterator[Event]:
        yield from self._end_part()
        self.value["status"] = status
        yield "response.output_item.done", {"output_index": self.index, "item": self.value}

    def _part(self, kind: str) -> Iterator[Event]:
        if self._parts and self._parts[-1]["type"] == kind:
            return
        yield from self._end_part()
        empty: Json = {"type": kind, "refusal": ""}
        if kind == "output_text":
            empty = {"type": kind, "text": "", "annotations": [], "logprobs": []}
        self._parts.append(empty)
        self._place = {
            "item_id": self.value["id"], "output_index": self.index, "content_index": len(self._parts) - 1,
        }  # fmt: skip
        self._placed = orjson.dumps({**self._place, "logprobs": []})[1:-1] + b',"delta":'
        yield "response.content_part.added", {**self._place, "part": empty}

    def _end_part(self) -> Iterator[Event]:
        if not self._parts:
            return
        part, whole = self._parts[-1], "".join(self._pieces)
        self._pieces = []
        if part["type"] == "refusal":
            part["refusal"] = whole
            yield "response.refusal.done", {**self._place, "refusal": whole}
        else:
            part["text"], part["logprobs"], self._logprobs = whole, self._logprobs, []
            yield "response.output_text.done", {**self._place, "text": whole, "logprobs": part["logprobs"]}
        yield "response.content_part.done", {**self._place, "part": part}


class Reasoning:
    """A reasoning item with its text as summary, because clients show summaries."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.value: Json = {"id": fresh("rs"), "type": "reasoning", "summary": []}
        self._pieces: list[str] = []
        self._place = {"item_id": self.value["id"], "output_index": index, "summary_index": 0}

    def begin(self) -> Iterator[Event]:
        yield "response.output_item.added", {"output_index": self.index, "item": dict(self.value)}

    def grow(self, piece: str) -> Iterator[Event]:
        if not self._pieces:
            yield "response.reasoning_summary_part.added", {**self._place, "part": {"type": "summary_text", "text": ""}}
        self._pieces.append(piece)
        yield "response.reasoning_summary_text.delta", {**self._place, "delta": piece}

    def seal(self, encrypted: str) -> None:
        if encrypted:
            self.value["encrypted_content"] = encrypted

    def close(self, status: str) -> Iterator[Event]:
        del status  # OpenAI's reasoning items have none
        if self._pieces:
            part = {"type": "summary_text", "text": "".join(self._pieces)}
            self.value["summary"] = [part]
            yield "response.reasoning_summary_text.done", {**self._place, "text": part["text"]}
            yield "response.reasoning_summary_part.done", {**self._place, "part": part}
        yield "response.output_item.done", {"output_index": self.index, "item": self.value}


class Call:
    """A call of a client's tool: a function or a custom tool."""

    def __init__(self, index: int, tool: Tool, call_id: str, *, shim: bool) -> None:
        """`shim`: a custom tool that was offered to the model as a function."""
        self.index = index
        self._custom = tool.kind == "custom"
        self._shim = shim
        self._member = "input" if self._custom else "arguments"
        self._kind = "response.custom_tool_call_input" if self._custom else "response.function_call_arguments"
        self._pieces: list[str] = []
        id, kind = (fresh("ctc"), "custom_tool_call") if self._custom else (fresh("fc"), "function_call")
        self.value: Json = {"id": id, "type": kind, "status": "in_progress", self._member: ""}
        self.value |= {"call_id": call_id or fresh("call"), "name": tool.name}
        if tool.namespace:
            self.value["namespace"] = tool.namespace
        self._place = {"item_id": id, "output_index": index}

    def begin(self) -> Iterator[Event]:
        yield "response.output_item.added", {"output_index": self.index, "item": dict(self.value)}

    def grow(self, piece: str) -> Iterator[Event]:
        self._pieces.append(piece)
        if not self._shim:
            yield f"{self._kind}.delta", {**self._place, "delta": piece}

    def close(self, status: str) -> Iterator[Event]:
        whole = "".join(self._pieces)
        if self._shim:
            whole = _raw_input(whole)
            yield f"{self._kind}.delta", {**self._place, "delta": whole}
        self.value |= {self._member: whole, "status": status}
        yield f"{self._kind}.done", {**self._place, self._member: whole}
        yield "response.output_item.done", {"output_index": self.index, "item": self.value}


class BuiltInCall:
    """A call of `shell`, `local_shell` or `apply_patch`, sent when it is complete.

    Arguments that are not those of the tool are a call of a function of its name: the client must not run them.
    """

    def __init__(self, index: int, tool: Tool, call_id: str) -> None:
        self.index = index
        self._kind = tool.kind
        self._pieces: list[str] = []
        self._call_id = call_id or fresh("call")
        self.value: Json = {"id": fresh("fc"), "type": "function_call", "status": "in_progress", "arguments": ""}
        self.value |= {"call_id": self._call_id, "name": tool.name}

    def begin(self) -> Iterator[Event]:
        yield from ()

    def grow(self, piece: str) -> Iterator[Event]:
        self._pieces.append(piece)
        yield from ()

    def close(self, status: str) -> Iterator[Event]:
        arguments = "".join(self._pieces)
        made = as_call(self._kind, arguments)
        if made is not None:
            self.value = {"id": fresh(BUILT_IN[self._kind].prefix), "call_id": self._call_id, **made, "status": status}
            yield "response.output_item.added", {"output_index": self.index, "item": self.value}
        else:
            yield "response.output_item.added", {"output_index": self.index, "item": dict(self.value)}
            place = {"item_id": self.value["id"], "output_index": self.index}
            yield "response.function_call_arguments.delta", {**place, "delta": arguments}
            self.value |= {"arguments": arguments, "status": status}
            yield "response.function_call_arguments.done", {**place, "arguments": arguments}
        yield "response.output_item.done", {"output_index": self.index, "item": self.value}


class Picture:
    """A generated image, as OpenAI's own image tool returns it."""

    def __init__(self, index: int, data: str) -> None:
        self.index = index
        self.value: Json = {"id": fresh("ig"), "type": "image_generation_call", "status": "in_progress", "result": None}
        self._data = data

    def begin(self) -> Iterator[Event]:
        yield "response.output_item.added", {"output_index": self.index, "item": dict(self.value)}

    def close(self, status: str) -> Iterator[Event]:
        del status  # it was received as a whole
        self.value |= {"status": "completed", "result": self._data}
        place = {"item_id": self.value["id"], "output_index": self.index}
        yield "response.image_generation_call.completed", place
        yield "response.output_item.done", {"output_index": self.index, "item": self.value}


def _raw_input(arguments: str) -> str:
    """The input of a custom tool: the member `input`, or the whole text if the model did not write that member."""
    try:
        parsed = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments
    if isinstance(parsed, dict) and isinstance(parsed.get("input"), str):
        return str(parsed["input"])
    return parsed if isinstance(parsed, str) else arguments
