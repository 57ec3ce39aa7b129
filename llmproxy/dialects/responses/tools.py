"""The tools of one request as functions, and the way back from a function's name to the client's tool.

A custom tool is offered as a function with one string, `input`; OpenAI's tools that the client runs are functions too.
A tool in a namespace gets one flat name. The table is built for each request from its tools, and calls are returned
under the client's names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest
from llmproxy.core.places import Places

from .built_in import BUILT_IN, as_function, is_run_by_client

Kind = Literal["function", "custom", "shell", "local_shell", "apply_patch"]

_KINDS: Mapping[str, Kind] = {"function": "function", "custom": "custom"}
_BUILT_IN: Mapping[str, Kind] = {"shell": "shell", "local_shell": "local_shell", "apply_patch": "apply_patch"}
_MOST = 64  # characters of a function's name
_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")
_SHIM = "Put the raw text of the call into `input`."


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as the client knows it."""

    kind: Kind
    name: str
    namespace: str = ""


@dataclass(slots=True)
class ToolTable:
    """Maps flat names to tools. offered: the chat's `tools`. dropped: types of tools that cannot be offered."""

    offered: list[Json] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    places: Places = field(default_factory=lambda: Places({}))
    _tools: dict[str, Tool] = field(default_factory=dict)

    @classmethod
    def of(cls, tools: Iterable[object], lifted: Iterable[object] = (), places: Places | None = None) -> ToolTable:
        """lifted: the tools inside the input."""
        table = cls(places=places or Places({}))
        placed = [(one, f"tools[{number}]") for number, one in enumerate(tools)]
        for one, where in [*placed, *((one, "input") for one in lifted)]:
            if isinstance(one, dict):
                table._add(one, where, "", "")
        return table

    def known(self, flat: str) -> Tool:
        """The tool with this flat name; a function of the same name if it was not offered."""
        return self._tools.get(flat) or Tool("function", flat)

    def keep(self, tools: Iterable[object]) -> None:
        """Removes all other tools from the offer."""
        wanted = {flat_name(*_name_and_namespace(one)) for one in tools if isinstance(one, dict)}
        self.offered = [one for one in self.offered if one["function"]["name"] in wanted]

    def _add(self, tool: Json, where: str, namespace: str, about: str) -> None:
        kind = str(tool.get("type") or "function")
        if kind == "namespace":
            inner = tool.get("tools")
            for one in inner if isinstance(inner, list) else ():
                if isinstance(one, dict):
                    self._add(one, where, str(tool.get("name") or ""), str(tool.get("description") or ""))
        elif kind in _KINDS:
            self._offer(tool, where, Tool(_KINDS[kind], _name(tool), namespace), about)
        elif is_run_by_client(tool):
            self._offer(tool, where, Tool(_BUILT_IN[kind], kind), about)
        elif kind not in self.dropped:
            self.dropped.append(kind)

    def _offer(self, tool: Json, where: str, known: Tool, about: str) -> None:
        flat = flat_name(known.name, known.namespace)
        if self._tools.get(flat, known) != known:
            flat = _shortened(flat, f"{known.namespace}\n{known.name}", force=True)
        again = flat in self._tools
        self._tools[flat] = known
        if again:  # repeated in a later item: the last one counts
            self.offered = [one for one in self.offered if one["function"]["name"] != flat]
        function = _as_function(tool, known.kind)
        if about and not function.get("description"):
            function["description"] = about
        self.offered.append(self.places.keep({"type": "function", "function": {"name": flat, **function}}, where))


def flat_name(name: str, namespace: str = "") -> str:
    """One name that chat's rules allow; the same tool has the same name in every request."""
    whole = f"{namespace}__{name}" if namespace else name
    return _shortened(_FOREIGN.sub("_", whole), whole)


def choice(value: object, table: ToolTable) -> object:
    """The chat's `tool_choice`; None if a chat does not have that choice. `allowed_tools` removes the other tools."""
    if isinstance(value, str):
        return value if value in ("none", "auto", "required") else None
    if not isinstance(value, dict):
        return None
    kind = value.get("type")
    if kind in ("function", "custom", *BUILT_IN):  # all are functions in a chat
        return {"type": "function", "function": {"name": flat_name(*_name_and_namespace(value))}}
    if kind == "allowed_tools":
        tools = value.get("tools")
        table.keep(tools if isinstance(tools, list) else ())
        return choice(str(value.get("mode") or "auto"), table)
    return None


def _name_and_namespace(tool: Json) -> tuple[str, str]:
    if tool.get("type") in BUILT_IN:
        return str(tool["type"]), ""
    return str(tool.get("name") or ""), str(tool.get("namespace") or "")


def _name(tool: Json) -> str:
    name = tool.get("name")
    if not isinstance(name, str) or not name:
        raise BadRequest("A tool has no `name`.", param="tools", code="missing_required_parameter")
    return name


def _as_function(tool: Json, kind: Kind) -> Json:
    if kind in BUILT_IN:
        return as_function(kind)
    return _custom(tool) if kind == "custom" else _function(tool)


def _function(tool: Json) -> Json:
    made: Json = {}
    if isinstance(tool.get("description"), str):
        made["description"] = tool["description"]
    parameters = tool.get("parameters")
    made["parameters"] = (
        parameters if isinstance(parameters, dict) and parameters else {"type": "object", "properties": {}}
    )
    if isinstance(tool.get("strict"), bool):
        made["strict"] = tool["strict"]
    return made


def _custom(tool: Json) -> Json:
    """The grammar is added to the description, because a function cannot enforce it."""
    given = tool.get("format")
    format: Json = given if isinstance(given, dict) else {}
    lines = [str(tool.get("description") or ""), _SHIM]
    if format.get("type") == "grammar":
        grammar = format.get("grammar") if isinstance(format.get("grammar"), dict) else format
        assert isinstance(grammar, dict)
        lines.append(
            f"The text must follow this {grammar.get('syntax', 'lark')} grammar:\n{grammar.get('definition', '')}"
        )
    parameters = {
        "type": "object",
        "properties": {"input": {"type": "string", "description": "The raw text."}},
        "required": ["input"],
        "additionalProperties": False,
    }
    return {"description": "\n\n".join(filter(None, lines)), "parameters": parameters}


def _shortened(flat: str, whole: str, *, force: bool = False) -> str:
    if len(flat) <= _MOST and not force:
        return flat
    return f"{flat[: _MOST - 9]}_{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
