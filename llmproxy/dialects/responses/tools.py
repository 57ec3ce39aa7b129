"""The tools of one request, as a chat model can be offered them, and what its calls of them are called in Responses.

A custom tool is offered as a function with one string, `input`. A tool in a namespace is offered under one flat name. The
table is made anew for each request from the tools in it, and gives the calls back as the client knows them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest

Kind = Literal["function", "custom"]

_KINDS: Mapping[str, Kind] = {"function": "function", "custom": "custom"}
_MOST = 64  # letters of a function's name
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
    """Which flat name stands for which tool. offered: chat's `tools`. dropped: types that a chat model cannot be given."""

    offered: list[Json] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    _tools: dict[str, Tool] = field(default_factory=dict)

    @classmethod
    def of(cls, tools: Iterable[object]) -> ToolTable:
        table = cls()
        for one in tools:
            if isinstance(one, dict):
                table._add(one, "", "")
        return table

    def known(self, flat: str) -> Tool:
        """Whose call it is; a name that was not offered stands for a function of that name."""
        return self._tools.get(flat) or Tool("function", flat)

    def keep(self, tools: Iterable[object]) -> None:
        """Leaves only these on offer."""
        wanted = {flat_name(*_named(one)) for one in tools if isinstance(one, dict)}
        self.offered = [one for one in self.offered if one["function"]["name"] in wanted]

    def _add(self, tool: Json, namespace: str, about: str) -> None:
        kind = str(tool.get("type") or "function")
        if kind == "namespace":
            inner = tool.get("tools")
            for one in inner if isinstance(inner, list) else ():
                if isinstance(one, dict):
                    self._add(one, str(tool.get("name") or ""), str(tool.get("description") or ""))
        elif kind in _KINDS:
            self._offer(tool, Tool(_KINDS[kind], _name(tool), namespace), about)
        elif kind not in self.dropped:
            self.dropped.append(kind)

    def _offer(self, tool: Json, known: Tool, about: str) -> None:
        flat = flat_name(known.name, known.namespace)
        if self._tools.get(flat, known) != known:
            flat = _shortened(flat, f"{known.namespace}\n{known.name}", force=True)
        again = flat in self._tools
        self._tools[flat] = known
        if again:  # said once more, in a later item: the last one counts
            self.offered = [one for one in self.offered if one["function"]["name"] != flat]
        function = _custom(tool) if known.kind == "custom" else _function(tool)
        if about and not function.get("description"):
            function["description"] = about
        self.offered.append({"type": "function", "function": {"name": flat, **function}})


def flat_name(name: str, namespace: str = "") -> str:
    """One name that chat's rules allow, the same one for the same tool in every request."""
    whole = f"{namespace}__{name}" if namespace else name
    return _shortened(_FOREIGN.sub("_", whole), whole)


def choice(value: object, table: ToolTable) -> object:
    """`tool_choice` for a chat; None where it says nothing that a chat can say. `allowed_tools` narrows the offer."""
    if isinstance(value, str):
        return value if value in ("none", "auto", "required") else None
    if not isinstance(value, dict):
        return None
    kind = value.get("type")
    if kind in ("function", "custom"):  # both are functions there
        return {"type": "function", "function": {"name": flat_name(*_named(value))}}
    if kind == "allowed_tools":
        tools = value.get("tools")
        table.keep(tools if isinstance(tools, list) else ())
        return choice(str(value.get("mode") or "auto"), table)
    return None


def _named(tool: Json) -> tuple[str, str]:
    return str(tool.get("name") or ""), str(tool.get("namespace") or "")


def _name(tool: Json) -> str:
    name = tool.get("name")
    if not isinstance(name, str) or not name:
        raise BadRequest("A tool has no `name`.", param="tools", code="missing_required_parameter")
    return name


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
    """The grammar is told in words: a function cannot be held to it."""
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
