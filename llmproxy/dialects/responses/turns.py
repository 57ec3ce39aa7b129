"""Translates the items of a conversation to chat messages.

Reasoning, texts and calls between two inputs are one assistant message. The results of its calls follow it, in the
order of the calls; a call without a result gets one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest
from llmproxy.core.places import Places
from llmproxy.wire.foreign_reasoning import unpack

from .parts import parts, shortest, text_of
from .tools import flat_name

_ABORTED = "aborted"  # the result of a call without one
_SEE_BELOW = "[image below]"
_SYSTEM = frozenset(("system", "developer"))
CALLS = frozenset(("function_call", "custom_tool_call", "local_shell_call", "shell_call", "apply_patch_call"))
OUTPUTS = frozenset(f"{kind}_output" for kind in CALLS)
# Items of the provider's own tools, which another model cannot get.
_LOST = frozenset(
    (
        "web_search_call", "file_search_call", "code_interpreter_call", "computer_call", "computer_call_output",
        "mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response", "program", "program_output",
        "compaction_trigger",
    )
)  # fmt: skip
# Items with tools or settings, which are read elsewhere.
_PASSED_OVER = frozenset(("tool_search_call", "tool_search_output", "additional_tools", "configuration_update"))


@dataclass(slots=True)
class _Turn:
    """One turn of the assistant, until another role follows."""

    where: str = ""  # the place of its first item
    texts: list[str] = field(default_factory=list)  # of its messages
    reasoning: list[str] = field(default_factory=list)
    details: list[Json] = field(default_factory=list)
    bound: dict[str, Json] = field(default_factory=dict)  # further members of a call, by its ID
    calls: list[Json] = field(default_factory=list)
    images: list[Json] = field(default_factory=list)

    def message(self) -> Json | None:
        if not (self.texts or self.calls or self.images):  # reasoning alone is not a message
            return None
        message: Json = {"role": "assistant", "content": "\n\n".join(self.texts) or None}
        if self.reasoning:
            message["reasoning_content"] = "\n\n".join(self.reasoning)
        if self.details:
            message["reasoning_details"] = self.details
        if self.calls:
            message["tool_calls"] = self.calls
        if self.images:
            message["images"] = self.images
        return message


class Turns:
    """Takes items in their order, each with its place in the request; `read` gives their messages."""

    def __init__(self, items: Sequence[tuple[Json, str]], places: Places) -> None:
        self.places = places
        self.messages: list[Json] = []
        self.lost: list[str] = []  # names of what is dropped
        self._items = items
        self._turn = _Turn()
        self._outputs: dict[str, tuple[Json, str]] = {}
        self._answered: set[str] = set()
        self._pictures: list[Json] = []
        for item, where in self._items:
            if item.get("type") in OUTPUTS and isinstance(item.get("call_id"), str):
                self._outputs.setdefault(item["call_id"], (item, where))

    def read(self) -> list[Json]:
        """The messages of all items. Raises BadRequest with the path of the wrong item in `param`."""
        for item, where in self._items:
            self._add_item(item, where)
        self._end_turn()
        return self.messages

    def _add_item(self, item: Json, where: str) -> None:
        kind = item.get("type") or "message"
        if kind in CALLS:
            self._call(item, str(kind), where)
        elif kind in OUTPUTS:
            self._output(item, where)
        elif kind in _LOST:
            self._drop(f"input.{kind}")
        elif kind not in _PASSED_OVER:
            take = _READERS.get(str(kind))
            if take is None:
                text = f"`{where}`: an item of type {kind!r} cannot be given to this model."
                raise BadRequest(text, param=f"{where}.type", code="unsupported_value")
            take(self, item, where)

    def _message(self, item: Json, where: str) -> None:
        role = str(item.get("role"))
        made = self._parts(item.get("content"), where, "content")
        if role == "assistant":
            self._assistant(where).texts += filter(None, (text_of(made, ""),))
            self._drop("phase" if item.get("phase") else "")
            return
        if role not in _SYSTEM and role != "user":
            text = f"`{where}.role` must be user, assistant, system or developer."
            raise BadRequest(text, param=f"{where}.role", code="invalid_value")
        self._end_turn()
        if role == "user":
            self._append({"role": "user", "content": shortest(made)}, where)
        elif text := text_of(made):
            self._system(text, where)

    def _parts(self, content: object, where: str, member: str) -> list[Json]:
        """The parts in a member of the item at `where`. A place that is not in a list has no members."""
        inside = f"{where}.{member}" if where.endswith("]") else where
        made = parts(content, inside)
        indexed = isinstance(content, list) and inside != where
        for number, part in enumerate(made):
            self.places.keep(part, f"{inside}[{number}]" if indexed else inside)
        return made

    def _append(self, message: Json, where: str) -> None:
        self.messages.append(self.places.keep(message, where))

    def _assistant(self, where: str) -> _Turn:
        self._turn.where = self._turn.where or where
        return self._turn

    def _drop(self, name: str) -> None:
        if name and name not in self.lost:
            self.lost.append(name)

    def _system(self, text: str, where: str) -> None:
        """The first system messages are joined: many models' templates allow one system prompt only."""
        if len(self.messages) == 1 and self.messages[0]["role"] == "system":
            joined = {"role": "system", "content": f"{self.messages[0]['content']}\n\n{text}"}
            self.messages[0] = self.places.keep(joined, where)
        else:
            self._append({"role": "system", "content": text}, where)

    def _reasoning(self, item: Json, where: str) -> None:
        turn = self._assistant(where)
        texts = [*_texts(item.get("summary")), *([] if item.get("summary") else _texts(item.get("content")))]
        turn.reasoning += texts
        packed = unpack(item.get("encrypted_content"))
        if packed is None:
            return
        turn.details += packed.details
        if packed.call_id and packed.extra:
            turn.bound[packed.call_id] = packed.extra

    def _image(self, item: Json, where: str) -> None:
        """Adds an image that the model generated. An item without data is skipped: the image is at its provider."""
        data = item.get("result")
        if isinstance(data, str) and data:
            url = f"data:{_media_type(item, data)};base64,{data}"
            image = {"type": "image_url", "image_url": {"url": url}}
            self._assistant(where).images.append(self.places.keep(image, where))

    def _call(self, item: Json, kind: str, where: str) -> None:
        id = _call_id(item)
        name, arguments = _CALLED[kind](item)
        call = {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
        turn = self._assistant(where)
        turn.calls.append(self.places.keep({**turn.bound.pop(id, {}), **call}, where))

    def _output(self, item: Json, where: str) -> None:
        self._end_turn()
        id = str(item.get("call_id") or "")
        if id in self._answered:
            return
        text, others = self._result(item, where)
        self._append({"role": "user", "content": f"[Result of the tool call {id}]\n{text}"}, where)
        self._add_images(others, where)

    def _end_turn(self) -> None:
        """Adds the assistant's message and the results of its calls."""
        turn, self._turn = self._turn, _Turn()
        message = turn.message()
        if message is None:
            return
        self._append(message, turn.where)
        pictures: list[Json] = []
        for call in turn.calls:
            self._answered.add(call["id"])
            item, where = self._outputs.get(call["id"], ({"output": _ABORTED}, turn.where))
            text, others = self._result(item, where)
            self._append({"role": "tool", "tool_call_id": call["id"], "content": text}, where)
            pictures += others
        self._add_images(pictures, turn.where)

    def _add_images(self, others: list[Json], where: str) -> None:
        """Adds the images of results after all results: a tool message cannot have images."""
        if others:
            self._append({"role": "user", "content": others}, where)

    def _result(self, item: Json, where: str) -> tuple[str, list[Json]]:
        """The text of a result, and its other parts."""
        output = item.get("output")
        if isinstance(output, dict) or (isinstance(output, list) and not all(map(_is_part, output))):
            return orjson.dumps(output).decode(), []  # output of a shell: an object or a list of objects
        made = self._parts(output, where, "output")
        others = [one for one in made if one["type"] != "text"]
        lines = [text_of(made, "\n"), _SEE_BELOW if others else ""]
        return "\n".join(filter(None, lines)), others

    def _compaction(self, item: Json, where: str) -> None:
        text = f"`{where}`: only the provider that compacted this conversation can read it."
        raise BadRequest(text, param=where, code="unsupported_value")


_READERS: Mapping[str, Callable[[Turns, Json, str], None]] = {
    "message": Turns._message,
    "reasoning": Turns._reasoning,
    "compaction": Turns._compaction,
    "image_generation_call": Turns._image,
}
# First characters of the base64 of each kind.
_MAGIC = (("iVBOR", "image/png"), ("/9j/", "image/jpeg"), ("UklGR", "image/webp"), ("R0lGOD", "image/gif"))


def _media_type(item: Json, data: str) -> str:
    format = item.get("output_format")
    known = next((kind for start, kind in _MAGIC if data.startswith(start)), "")
    return known or (f"image/{format}" if format in ("png", "jpeg", "webp") else "image/png")


def _texts(entries: object) -> list[str]:
    if not isinstance(entries, list):
        return []
    return [
        one["text"] for one in entries if isinstance(one, dict) and isinstance(one.get("text"), str) and one["text"]
    ]


def _call_id(item: Json) -> str:
    return str(item.get("call_id") or item.get("id") or "")


def _is_part(one: object) -> bool:
    return (
        isinstance(one, dict) and isinstance(one.get("type"), str) and one["type"].startswith(("input_", "output_text"))
    )


def _function(item: Json) -> tuple[str, str]:
    arguments = item.get("arguments")
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments or {}).decode()
    return _flat_name(item), text.strip() or "{}"


def _custom(item: Json) -> tuple[str, str]:
    return _flat_name(item), orjson.dumps({"input": str(item.get("input") or "")}).decode()


def _flat_name(item: Json) -> str:
    return flat_name(str(item.get("name") or ""), str(item.get("namespace") or ""))


def _built_in(name: str, member: str) -> Callable[[Json], tuple[str, str]]:
    return lambda item: (name, orjson.dumps(item.get(member) or {}).decode())


_CALLED: Mapping[str, Callable[[Json], tuple[str, str]]] = {
    "function_call": _function,
    "custom_tool_call": _custom,
    "local_shell_call": _built_in("local_shell", "action"),
    "shell_call": _built_in("shell", "action"),
    "apply_patch_call": _built_in("apply_patch", "operation"),
}


def lifted_tools(items: Iterable[Json]) -> list[object]:
    """Tools inside the input."""
    found: list[object] = []
    for item in items:
        if item.get("type") in ("additional_tools", "tool_search_output") and isinstance(item.get("tools"), list):
            found += item["tools"]
    return found


def last_settings(items: Iterable[Json]) -> Json:
    """The last `configuration_update` of each kind: `reasoning` and `text`."""
    found: Json = {}
    for item in items:
        if item.get("type") == "configuration_update":
            found |= {name: item[name] for name in ("reasoning", "text") if isinstance(item.get(name), dict)}
    return found
