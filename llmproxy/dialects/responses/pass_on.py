"""A Responses request for a provider that speaks Responses: which may have it, and what in it is the gateway's own.

OpenAI and Azure know everything in it, and their own earlier responses. Other servers know messages and functions, and keep
nothing: they are given everything that a request only refers to, or are asked for a chat where that is not enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from llmproxy.core.adapter import Adapter
from llmproxy.core.chat import Chat, Json
from llmproxy.wire.foreign_reasoning import is_ours
from llmproxy.wire.refused_thoughts import note

from .known import Known
from .request import input_items

_PLAIN_ITEMS = frozenset(("message", "function_call", "function_call_output", "reasoning", "item_reference"))
_SAID = frozenset(("message", "function_call", "custom_tool_call"))
_OPENAIS_OWN = ("prompt", "conversation", "context_management", "moderation")


def suits(chat: Chat, adapter: Adapter, known: Known) -> bool:
    """Whether the provider understands all of the request."""
    if _keeps(adapter):
        return True
    body = chat.body
    if any(body.get(name) is not None for name in _OPENAIS_OWN):
        return False
    if body.get("previous_response_id") is not None and known.earlier is None:
        return False
    items = [*(known.earlier or ()), *input_items(body)]
    if any((item.get("type") or "message") not in _PLAIN_ITEMS or "namespace" in item for item in items):
        return False
    tools = body.get("tools")
    return tools is None or bool(
        tools and all(isinstance(one, dict) and one.get("type") == "function" for one in tools)
    )


def passed(chat: Chat, adapter: Adapter, known: Known) -> Chat:
    """The request as it goes out; the client's own bytes, where nothing has to be changed."""
    body = chat.body
    changes: Json = {}
    if body.get("background"):
        changes["background"] = None  # the gateway's own task: a stop must reach the provider
    keeper = adapter.account.name if _keeps(adapter) else None
    given = input_items(body)
    items = [found for item in given if (found := _own(item, known, keeper)) is not None]
    if known.earlier is not None and known.answered_by != keeper:
        changes["previous_response_id"] = None
        earlier = [found for item in known.earlier if (found := _bare(item)) is not None]
        changes["input"] = [*earlier, *items]
    elif len(items) != len(given) or any(one is not other for one, other in zip(items, given, strict=True)):
        changes["input"] = items
    return chat.saying(**changes) if changes else chat


def without_thoughts(chat: Chat, known: Known) -> tuple[Chat, Known] | None:
    """The request, and what is known of earlier ones, without reasoning. None where there is none.

    What was said with it goes without its id, as OpenAI knows by it that there was reasoning.
    """
    given, earlier = input_items(chat.body), known.earlier
    if not any(map(_is_reasoning, (*given, *(earlier or ())))):
        return None
    note(chat, "input.reasoning")
    kept = replace(known, earlier=_unreasoned(earlier) if earlier is not None else None)
    return chat.saying(input=_unreasoned(given)), kept


def _unreasoned(items: Iterable[Json]) -> list[Json]:
    return [
        {name: value for name, value in item.items() if name != "id"} if item.get("type") in _SAID else item
        for item in items
        if not _is_reasoning(item)
    ]


def _is_reasoning(item: Json) -> bool:
    kind = item.get("type")
    return kind == "reasoning" or (kind == "item_reference" and str(item.get("id")).startswith("rs_"))


def _keeps(adapter: Adapter) -> bool:
    return getattr(adapter, "keeps_responses", False) is True


def _own(item: Json, known: Known, keeper: str | None) -> Json | None:
    """An item of the client's: without reasoning that only the gateway can read, and with what it refers to."""
    if item.get("type") == "reasoning" and is_ours(item.get("encrypted_content")):
        return None
    if item.get("type") == "item_reference" and (found := known.items.get(str(item.get("id")))) is not None:
        return item if found.answered_by == keeper else _bare(found.item)
    return item


def _bare(item: Json) -> Json | None:
    """An item out of the gateway's memory: under its id no provider knows it, and reasoning is nothing without its state."""
    if item.get("type") == "reasoning" and (not item.get("encrypted_content") or is_ours(item["encrypted_content"])):
        return None
    return {name: value for name, value in item.items() if name not in ("id", "status")}
