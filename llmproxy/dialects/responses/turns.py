"""The items of a conversation as the messages of a chat.

What the model said between two inputs, reasoning, text and calls, is one assistant's message. The results of its calls
follow it at once, in the order of the calls; a call that never got one is answered for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest
from llmproxy.wire.foreign_reasoning import unpack

from .parts import parts, shortest, text_of
from .tools import flat_name

_ABORTED = "aborted"  # the result of a call that was given none
_SEE_BELOW = "[image below]"
_SYSTEM = frozenset(("system", "developer"))
CALLS = frozenset(("function_call", "custom_tool_call", "local_shell_call", "shell_call", "apply_patch_call"))
OUTPUTS = frozenset(f"{kind}_output" for kind in CALLS)
# What a provider's own tools did, and what carries tools or settings: of no use to another model, or read elsewhere.
_PASSED_OVER = frozenset(
    (
        "web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "computer_call",
        "computer_call_output", "mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response",
        "tool_search_call", "tool_search_output", "additional_tools", "configuration_update", "program",
        "program_output", "compaction_trigger",
    )
)  # fmt: skip


@dataclass(slots=True)
class _Turn:
    """What the assistant said, until somebody else speaks."""

    content: list[Json] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    details: list[Json] = field(default_factory=list)
    bound: dict[str, Json] = field(default_factory=dict)  # further members of a call, by its id
    calls: list[Json] = field(default_factory=list)

    def message(self) -> Json | None:
        if not (self.content or self.calls):  # reasoning alone leads to nothing
            return None
        said: Json = {"role": "assistant", "content": text_of(self.content, "") or None}
        if self.reasoning:
            said["reasoning_content"] = "\n\n".join(self.reasoning)
        if self.details:
            said["reasoning_details"] = self.details
        if self.calls:
            said["tool_calls"] = self.calls
        return said


class Turns:
    """Takes items in their order. `messages` are complete after `finish`."""

    def __init__(self, items: Sequence[Json], before: int = 0) -> None:
        """`before`: how many of the items stand before the request's own input."""
        self.messages: list[Json] = []
        self._items = [(item, f"input[{number - before}]") for number, item in enumerate(items)]
        self._turn = _Turn()
        self._outputs: dict[str, tuple[Json, str]] = {}
        self._answered: set[str] = set()
        self._pictures: list[Json] = []
        for item, where in self._items:
            if item.get("type") in OUTPUTS and isinstance(item.get("call_id"), str):
                self._outputs.setdefault(item["call_id"], (item, where))

    def read(self) -> list[Json]:
        """The messages of all items. Raises BadRequest, with the item at fault in `param`."""
        for item, where in self._items:
            self._take(item, where)
        self._end_turn()
        return self.messages

    def _take(self, item: Json, where: str) -> None:
        kind = item.get("type") or "message"
        if kind in CALLS:
            self._call(item, str(kind))
        elif kind in OUTPUTS:
            self._output(item, where)
        elif kind not in _PASSED_OVER:
            take = _TAKES.get(str(kind))
            if take is None:
                text = f"`{where}`: an item of type {kind!r} cannot be given to this model."
                raise BadRequest(text, param=f"{where}.type", code="unsupported_value")
            take(self, item, where)

    def _message(self, item: Json, where: str) -> None:
        role = str(item.get("role"))
        made = parts(item.get("content"), f"{where}.content")
        if role == "assistant":
            self._turn.content += made
            return
        if role not in _SYSTEM and role != "user":
            text = f"`{where}.role` must be user, assistant, system or developer."
            raise BadRequest(text, param=f"{where}.role", code="invalid_value")
        self._end_turn()
        if role == "user":
            self.messages.append({"role": "user", "content": shortest(made)})
        elif text := text_of(made):
            self._system(text)

    def _system(self, text: str) -> None:
        """The first ones are one: many models' templates know one system prompt only."""
        if len(self.messages) == 1 and self.messages[0]["role"] == "system":
            self.messages[0] = {"role": "system", "content": f"{self.messages[0]['content']}\n\n{text}"}
        else:
            self.messages.append({"role": "system", "content": text})

    def _reasoning(self, item: Json, where: str) -> None:
        del where
        texts = [*_texts(item.get("summary")), *([] if item.get("summary") else _texts(item.get("content")))]
        self._turn.reasoning += texts
        packed = unpack(item.get("encrypted_content"))
        if packed is None:
            return
        self._turn.details += packed.details
        if packed.call_id and packed.extra:
            self._turn.bound[packed.call_id] = packed.extra

    def _call(self, item: Json, kind: str) -> None:
        id = _call_id(item)
        name, arguments = _CALLED[kind](item)
        call = {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
        self._turn.calls.append({**self._turn.bound.pop(id, {}), **call})

    def _output(self, item: Json, where: str) -> None:
        self._end_turn()
        id = str(item.get("call_id") or "")
        if id in self._answered:
            return
        text, others = _result(item, where)
        self.messages.append({"role": "user", "content": f"[Result of the tool call {id}]\n{text}"})
        self._show(others)

    def _end_turn(self) -> None:
        """Writes down what the assistant said, and the results of its calls."""
        turn, self._turn = self._turn, _Turn()
        message = turn.message()
        if message is None:
            return
        self.messages.append(message)
        pictures: list[Json] = []
        for call in turn.calls:
            self._answered.add(call["id"])
            item, where = self._outputs.get(call["id"], ({"output": _ABORTED}, ""))
            text, others = _result(item, where)
            self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": text})
            pictures += others
        self._show(pictures)

    def _show(self, others: list[Json]) -> None:
        """Images of results: a tool's message has no place for them, so they come after all of the results."""
        if others:
            self.messages.append({"role": "user", "content": others})

    def _compaction(self, item: Json, where: str) -> None:
        text = f"`{where}`: only the provider that compacted this conversation can read it."
        raise BadRequest(text, param=where, code="unsupported_value")


_TAKES: Mapping[str, Callable[[Turns, Json, str], None]] = {
    "message": Turns._message,
    "reasoning": Turns._reasoning,
    "compaction": Turns._compaction,
}


def _texts(entries: object) -> list[str]:
    if not isinstance(entries, list):
        return []
    return [
        one["text"] for one in entries if isinstance(one, dict) and isinstance(one.get("text"), str) and one["text"]
    ]


def _call_id(item: Json) -> str:
    return str(item.get("call_id") or item.get("id") or "")


def _result(item: Json, where: str) -> tuple[str, list[Json]]:
    """The text of a result, and what in it is no text."""
    output = item.get("output")
    if isinstance(output, dict) or (isinstance(output, list) and not all(map(_is_part, output))):
        return orjson.dumps(output).decode(), []  # of a shell: what it printed, as an object or a list of them
    made = parts(output, f"{where}.output")
    others = [one for one in made if one["type"] != "text"]
    told = [text_of(made, "\n"), _SEE_BELOW if others else ""]
    return "\n".join(filter(None, told)), others


def _is_part(one: object) -> bool:
    return (
        isinstance(one, dict) and isinstance(one.get("type"), str) and one["type"].startswith(("input_", "output_text"))
    )


def _function(item: Json) -> tuple[str, str]:
    arguments = item.get("arguments")
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments or {}).decode()
    return _flat(item), text.strip() or "{}"


def _custom(item: Json) -> tuple[str, str]:
    return _flat(item), orjson.dumps({"input": str(item.get("input") or "")}).decode()


def _flat(item: Json) -> str:
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
    """Tools that stand inside the input."""
    found: list[object] = []
    for item in items:
        if item.get("type") in ("additional_tools", "tool_search_output") and isinstance(item.get("tools"), list):
            found += item["tools"]
    return found


def last_settings(items: Iterable[Json]) -> Json:
    """What the last `configuration_update` of each kind says: `reasoning` and `text`."""
    found: Json = {}
    for item in items:
        if item.get("type") == "configuration_update":
            found |= {name: item[name] for name in ("reasoning", "text") if isinstance(item.get(name), dict)}
    return found
