"""OpenAI's own tools that the client runs (`shell`, `local_shell`, `apply_patch`), as functions for other models.

OpenAI's models know these tools without a schema. Source of the members: openai-python 3.57, `types/responses`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from llmproxy.core.chat import Json

_TEXTS = {"type": "array", "items": {"type": "string"}}
_TEXT = {"type": "string"}
_MILLISECONDS = {"type": "integer", "description": "Timeout in milliseconds."}
_OPERATIONS = ("create_file", "update_file", "delete_file")
_DIFF = {"type": "string", "description": "Lines of context, and lines that begin with - or +; not for delete_file."}


class BuiltIn(NamedTuple):
    """prefix: of its calls' IDs. member: of its calls, with the arguments. usual: default arguments. beside: other
    members of its calls.
    """

    prefix: str
    member: str
    description: str
    properties: Json
    required: tuple[str, ...]
    is_valid: Callable[[Json], bool]
    usual: Json
    beside: Json


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


def _is_operation(given: Json) -> bool:
    wanted = ("path",) if given.get("type") == "delete_file" else ("path", "diff")
    return given.get("type") in _OPERATIONS and all(isinstance(given.get(name), str) for name in wanted)


BUILT_IN: Mapping[str, BuiltIn] = {
    "shell": BuiltIn(
        "sh", "action", "Runs commands in a shell.", {"commands": _TEXTS, "timeout_ms": _MILLISECONDS}, ("commands",),
        lambda given: _are_texts(given.get("commands")), {}, {"environment": {"type": "local"}},
    ),
    "local_shell": BuiltIn(
        "lsh", "action", "Runs one command, given as its arguments.",
        {"command": _TEXTS, "working_directory": _TEXT, "timeout_ms": _MILLISECONDS}, ("command",),
        lambda given: _are_texts(given.get("command")), {"type": "exec", "env": {}}, {},
    ),
    "apply_patch": BuiltIn(
        "apc", "operation", "Creates, updates or deletes one file.",
        {"type": {"type": "string", "enum": list(_OPERATIONS)}, "path": _TEXT, "diff": _DIFF}, ("type", "path"),
        _is_operation, {}, {},
    ),
}  # fmt: skip


def is_run_by_client(tool: Json) -> bool:
    """Whether it is one of these tools: OpenAI itself runs a shell in a container."""
    environment = tool.get("environment")
    place = environment.get("type") if isinstance(environment, dict) else None
    return tool.get("type") in BUILT_IN and not str(place).startswith("container")


def as_function(kind: str) -> Json:
    """The function without its name."""
    built_in = BUILT_IN[kind]
    parameters = {"type": "object", "properties": built_in.properties, "required": list(built_in.required)}
    return {"description": built_in.description, "parameters": parameters}


def as_call(kind: str, arguments: str) -> Json | None:
    """The members of a call that these arguments make; None if they are not those of this tool."""
    built_in = BUILT_IN[kind]
    try:
        given = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(given, dict) or not built_in.is_valid(given):
        return None
    return {"type": f"{kind}_call", built_in.member: {**built_in.usual, **given}, **built_in.beside}
