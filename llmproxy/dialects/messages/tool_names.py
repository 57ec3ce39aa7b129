"""Names of tools and IDs of calls that Messages accepts."""

from __future__ import annotations

import re

from llmproxy.core.chat import Json
from llmproxy.wire.tool_names import ToolNames


class MessagesToolNames(ToolNames):
    """128 letters, digits, `_` and `-`."""

    longest = 128
    allowed = re.compile(r"[a-zA-Z0-9_-]+")
    refused = re.compile(r"[^a-zA-Z0-9_-]")


def declared(body: Json) -> list[str]:
    """The names of the functions and custom tools in a chat request."""
    tools = body.get("tools")
    found = []
    for tool in tools if isinstance(tools, list) else ():
        inner = tool.get(tool.get("type")) if isinstance(tool, dict) and isinstance(tool.get("type"), str) else None
        if isinstance(inner, dict) and isinstance(inner.get("name"), str) and inner["name"]:
            found.append(inner["name"])
    return found


def customs(body: Json) -> frozenset[str]:
    """The names of the custom tools in a chat request."""
    tools = body.get("tools")
    inner = (tool.get("custom") for tool in tools if isinstance(tool, dict)) if isinstance(tools, list) else ()
    return frozenset(one["name"] for one in inner if isinstance(one, dict) and isinstance(one.get("name"), str))
