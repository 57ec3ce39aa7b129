"""Translates a chat request's tools and tool choice to Messages."""

from __future__ import annotations

from typing import Any

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest

from .schema import strict_schema, tool_schema
from .tables import MessagesAbilities
from .tool_names import MessagesToolNames

MOST_STRICT = 20  # strict tools in one request (recorded)
SEARCH = "web_search_20250305"
_RAW_INPUT = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}


def encode_tools(body: Json, can: MessagesAbilities, names: MessagesToolNames) -> list[Json]:
    """The client's tools in order; tools in Messages' own form are passed on. Raises BadRequest."""
    tools = body.get("tools") or []
    if not isinstance(tools, list):
        raise BadRequest("'tools' must be a list.", param="tools")
    encoded = [_tool(f"tools[{at}]", tool, can, names) for at, tool in enumerate(tools)]
    if sum(tool.get("strict") is True for tool in encoded) > MOST_STRICT:
        encoded = [{name: value for name, value in tool.items() if name != "strict"} for tool in encoded]
    search = body.get("web_search_options")
    if isinstance(search, dict) and not any(str(tool.get("type")).startswith("web_search") for tool in encoded):
        encoded.append(_search(search))
    return encoded


def encode_choice(
    body: Json, has_tools: bool, forced: bool, names: MessagesToolNames, dropped: list[str]
) -> Json | None:
    """`tool_choice`; `auto`, and named as dropped, where the model does not accept a forced call."""
    given = body.get("tool_choice")
    if not has_tools:
        return None
    choice = _choice(given, names, dropped)
    if choice is not None and choice["type"] in ("any", "tool") and not forced:
        dropped.append("tool_choice")
        choice = {"type": "auto"}
    if body.get("parallel_tool_calls") is False and (choice is None or choice["type"] != "none"):
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return choice


def _choice(given: Any, names: MessagesToolNames, dropped: list[str]) -> Json | None:
    if given is None:
        return None
    if isinstance(given, str):
        if given not in _WORDS:
            raise BadRequest(f"'tool_choice' cannot be {given[:40]!r}.", param="tool_choice")
        return {"type": _WORDS[given]}
    if not isinstance(given, dict):
        raise BadRequest("'tool_choice' must be a word or an object.", param="tool_choice")
    kind = given.get("type")
    if kind in ("auto", "any", "none") or (kind == "tool" and isinstance(given.get("name"), str)):
        return given  # in Messages' form
    if kind == "allowed_tools":
        allowed = given.get("allowed_tools")
        mode = allowed.get("mode") if isinstance(allowed, dict) else given.get("mode")
        dropped.append("tool_choice.allowed_tools")
        return {"type": "any" if mode == "required" else "auto"}
    inner = given.get(kind) if isinstance(kind, str) else None
    name = inner.get("name") if isinstance(inner, dict) else given.get("name")
    if not isinstance(name, str) or not name:
        raise BadRequest("'tool_choice' names no tool.", param="tool_choice")
    return {"type": "tool", "name": names.theirs(name)}


_WORDS = {"auto": "auto", "required": "any", "any": "any", "none": "none"}


def _tool(where: str, tool: Any, can: MessagesAbilities, names: MessagesToolNames) -> Json:
    if not isinstance(tool, dict):
        raise BadRequest(f"{where} must be an object.", param=where)
    kind = tool.get("type")
    if kind == "custom" and isinstance(tool.get("custom"), dict):
        return _custom(tool["custom"], names)
    if kind != "function" and "function" not in tool:
        return tool
    function = tool.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        raise BadRequest(f"{where} is not a function with a name.", param=f"{where}.function.name")
    encoded: Json = {"name": names.theirs(function["name"])}
    if isinstance(function.get("description"), str) and function["description"]:
        encoded["description"] = function["description"]
    encoded["input_schema"] = tool_schema(function.get("parameters"))
    if function.get("strict") is True and can.structured:
        encoded |= {"input_schema": strict_schema(encoded["input_schema"]), "strict": True}
    return {**encoded, **{name: holder[name] for holder in (function, tool) for name in _BESIDE if name in holder}}


_BESIDE = ("cache_control", "defer_loading", "allowed_callers", "input_examples", "eager_input_streaming")


def _custom(custom: Json, names: MessagesToolNames) -> Json:
    """A tool with free text input, as a function with one string."""
    if not isinstance(custom.get("name"), str) or not custom["name"]:
        raise BadRequest("A custom tool must have a name.", param="tools")
    about = [str(custom.get("description") or ""), "Put the raw text into `input`."]
    form = custom.get("format")
    grammar = form.get("grammar") if isinstance(form, dict) else None
    if isinstance(grammar, dict) and isinstance(grammar.get("definition"), str):
        about.append(f"It must follow this {grammar.get('syntax') or 'grammar'}:\n{grammar['definition']}")
    description = "\n\n".join(one for one in about if one)
    return {"name": names.theirs(custom["name"]), "description": description, "input_schema": dict(_RAW_INPUT)}


def _search(options: Json) -> Json:
    place = options.get("user_location")
    place = place.get("approximate") if isinstance(place, dict) else None
    near = {"user_location": {"type": "approximate", **place}} if isinstance(place, dict) else {}
    return {"type": SEARCH, "name": "web_search", **near}
