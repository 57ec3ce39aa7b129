"""Decides whether a provider that speaks Responses can get the client's request, and prepares it.

OpenAI and Azure support all of it, including their own earlier responses. Other servers support messages and functions,
and store nothing: references are resolved for them, or they are asked for a chat if that is not enough.
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
_WITHOUT_ID = frozenset(("message", "function_call", "custom_tool_call"))
_OPENAIS_OWN = ("prompt", "conversation", "context_management", "moderation")


def suits(chat: Chat, adapter: Adapter, known: Known) -> bool:
    """Whether the provider supports everything in the request."""
    if _keeps_responses(adapter):
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
    """The request as it is sent; the client's bytes, if nothing has to be changed."""
    body = chat.body
    changes: Json = {}
    if body.get("background"):
        changes["background"] = None  # the gateway runs the background task, so that a stop reaches the provider
    keeper = adapter.account.name if _keeps_responses(adapter) else None
    given = input_items(body)
    items = [found for item in given if (found := _prepared(item, known, keeper)) is not None]
    if known.earlier is not None and known.answered_by != keeper:
        changes["previous_response_id"] = None
        earlier = [found for item in known.earlier if (found := _without_id(item)) is not None]
        changes["input"] = [*earlier, *items]
    elif len(items) != len(given) or any(one is not other for one, other in zip(items, given, strict=True)):
        changes["input"] = items
    return chat.with_fields(**changes) if changes else chat


def without_thoughts(chat: Chat, known: Known) -> tuple[Chat, Known] | None:
    """The request and its known items without reasoning; None if there is no reasoning. Messages and calls that came
    with reasoning lose their ID, because OpenAI knows from it that there was reasoning.
    """
    given, earlier = input_items(chat.body), known.earlier
    if not any(map(_is_reasoning, (*given, *(earlier or ())))):
        return None
    note(chat, "input.reasoning")
    kept = replace(known, earlier=_without_reasoning(earlier) if earlier is not None else None)
    return chat.with_fields(input=_without_reasoning(given)), kept


def _without_reasoning(items: Iterable[Json]) -> list[Json]:
    return [
        {name: value for name, value in item.items() if name != "id"} if item.get("type") in _WITHOUT_ID else item
        for item in items
        if not _is_reasoning(item)
    ]


def _is_reasoning(item: Json) -> bool:
    kind = item.get("type")
    return kind == "reasoning" or (kind == "item_reference" and str(item.get("id")).startswith("rs_"))


def _keeps_responses(adapter: Adapter) -> bool:
    return getattr(adapter, "keeps_responses", False) is True


def _prepared(item: Json, known: Known, keeper: str | None) -> Json | None:
    """A client's item with references resolved; None for reasoning that only the gateway can read."""
    if item.get("type") == "reasoning" and is_ours(item.get("encrypted_content")):
        return None
    if item.get("type") == "item_reference" and (found := known.items.get(str(item.get("id")))) is not None:
        return item if found.answered_by == keeper else _without_id(found.item)
    return item


def _without_id(item: Json) -> Json | None:
    """A stored item without its ID, which no provider knows; None for reasoning without state."""
    if item.get("type") == "reasoning" and (not item.get("encrypted_content") or is_ours(item["encrypted_content"])):
        return None
    return {name: value for name, value in item.items() if name not in ("id", "status")}
