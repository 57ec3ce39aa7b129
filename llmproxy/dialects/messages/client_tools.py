"""Translates the tools of a Messages request to functions.

A tool with `defer_loading` is offered after a result in the conversation has named it. Anthropic's tools that the
client runs (bash, text editor, memory) become functions with the same name; those that Anthropic runs are dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from llmproxy.core.chat import Json
from llmproxy.core.places import Places
from llmproxy.wire.tool_names import ChatToolNames

from .parts import blocks

_PATH = {"type": "string", "description": "An absolute path."}
_EDIT: Json = {
    "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert"]},
    "path": _PATH,
    "view_range": {"type": "array", "items": {"type": "integer"}},
    "file_text": {"type": "string"},
    "old_str": {"type": "string"},
    "new_str": {"type": "string"},
    "insert_line": {"type": "integer"},
    "insert_text": {"type": "string"},
}
_MEMORY: Json = {
    **_EDIT,
    "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert", "delete", "rename"]},
    "old_path": _PATH,
    "new_path": _PATH,
}
# By the beginning of its type: what it is for, its parameters, and those that it needs.
_OURS: Mapping[str, tuple[str, Json, list[str]]] = {
    "bash_": (
        "Runs a command in a shell that lives on between calls.",
        {"command": {"type": "string"}, "restart": {"type": "boolean", "description": "Begins with a new shell."}},
        [],
    ),
    "text_editor_": ("Views and changes text files.", _EDIT, ["command", "path"]),
    "memory_": ("Keeps notes in files under /memories.", _MEMORY, ["command"]),
}


def functions(
    tools: Iterable[Json], messages: Iterable[Json], lost: list[str], names: ChatToolNames, places: Places
) -> list[Json]:
    """The functions. The types of tools that cannot be offered are added to `lost`."""
    named = _referenced(messages)
    offered: list[Json] = []
    for number, tool in enumerate(tools):
        if tool.get("defer_loading") is True and tool.get("name") not in named:
            continue
        made = _function(tool)
        if made is None:
            lost.append(f"tools.{tool.get('type')}")
        else:
            function = {"type": "function", "function": {**made, "name": names.theirs(made["name"])}}
            offered.append(places.keep(function, f"tools.{number}"))
    return offered


def tool_choice(given: object, names: ChatToolNames) -> Json:
    """The members `tool_choice` and `parallel_tool_calls` of a chat request."""
    if not isinstance(given, dict):
        return {}
    made: Json = {}
    kind = given.get("type")
    if kind in ("any", "none"):
        made["tool_choice"] = "required" if kind == "any" else "none"
    elif kind == "tool":
        made["tool_choice"] = {"type": "function", "function": {"name": names.theirs(str(given.get("name") or ""))}}
    elif kind == "auto":
        made["tool_choice"] = "auto"
    if given.get("disable_parallel_tool_use") is True:
        made["parallel_tool_calls"] = False
    return made


def _function(tool: Json) -> Json | None:
    kind = tool.get("type") or "custom"
    if kind == "custom":
        described = {"description": tool["description"]} if isinstance(tool.get("description"), str) else {}
        schema = tool.get("input_schema")
        strict = {"strict": tool["strict"]} if isinstance(tool.get("strict"), bool) else {}
        return {
            "name": str(tool.get("name") or ""),
            **described,
            "parameters": schema if isinstance(schema, dict) else {"type": "object", "properties": {}},
            **strict,
        }
    for begins, (text, properties, needed) in _OURS.items():
        if kind.startswith(begins):
            schema = {"type": "object", "properties": properties, "required": needed}
            return {"name": str(tool.get("name") or begins.rstrip("_")), "description": text, "parameters": schema}
    return None


def _referenced(messages: Iterable[Json]) -> set[str]:
    """The names of tools in the results of a tool search."""
    inside = (one for message in messages for block in blocks(message.get("content")) for one in _result_blocks(block))
    return {str(one.get("tool_name")) for one in inside if one.get("type") == "tool_reference"}


def _result_blocks(block: Json) -> list[Json]:
    return blocks(block.get("content")) if block.get("type") == "tool_result" else []
