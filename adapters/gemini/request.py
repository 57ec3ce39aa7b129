"""Converts a chat completion request to the body of Gemini's `generateContent`."""

from __future__ import annotations

from collections.abc import Mapping

from llmproxy.adapter_kit import BadRequest, Chat, Json, check_chat

from .field_names import Members
from .generation import render_config
from .messages import Conversation
from .models import Abilities
from .names import Names
from .native_fields import google_members, native_members, place
from .parts import as_list
from .signatures import Signatures
from .tools import Tools

TIERS = {"default": "standard", "standard": "standard", "flex": "flex", "priority": "priority"}


def render(
    chat: Chat,
    can: Abilities,
    signatures: Signatures,
    options: Mapping[str, object],
    server_side: bool = True,
) -> Json:
    """The request body. Members that Gemini does not support are added to the dropped ones in the chat's trace.

    options: those of the provider's configuration. server_side: see Tools.
    """
    check_chat(chat.body)
    members = Members(chat.body)
    members.take("model", "stream", "stream_options")
    google, names = google_members(members), Names.of(chat.body)
    talk = Conversation(can, signatures, names)
    talk.add_all(members.take("messages"))
    members.lost.extend(["messages"] if talk.shaped else [])
    tools = _tools(members, Tools(can, names, server_side), can, google)
    config = render_config(members, can, talk, tools, google, options)
    body: Json = {**_contents(talk), **tools.render(), **_tier(members), **_safety(options)}
    place(body, config, native_members(members))
    place(body, config, google)
    _note(chat, members)
    return {**body, "generationConfig": config} if config else body


def _contents(talk: Conversation) -> Json:
    instruction = {"systemInstruction": {"parts": talk.system}} if talk.system else {}
    return {"contents": talk.contents, **instruction}


def _safety(options: Mapping[str, object]) -> Json:
    settings = options.get("safety_settings")
    return {"safetySettings": settings} if isinstance(settings, (list, tuple)) else {}


def _note(chat: Chat, members: Members) -> None:
    chat.drop(*members.left())
    chat.trace.dropped.extend(name for name in members.lost if name not in chat.trace.dropped)


def _tools(members: Members, tools: Tools, can: Abilities, google: Json) -> Tools:
    _refuse_functions(members)
    if members.see("tools"):
        tools.add_all(members.take("tools"))
    members.lost.extend(["tools.strict"] if tools.strict else [])
    tools.add_all(as_list(google.pop("tools", None)))
    members.lost.extend(refused := tools.refuse())
    if can.tools and isinstance(search := members.see("web_search_options"), dict):
        members.take("web_search_options")
        tools.built_in.setdefault("googleSearch", {})
        members.lost.extend(f"web_search_options.{name}" for name in search)
    if (
        tools.functions and tools.built_in and not can.mixed
    ):  # the client needs the functions more than the built-in tools
        members.lost.extend(f"tools.{name}" for name in tools.built_in)
        tools.built_in.clear()
    if "tools" not in refused and (choice := members.take("tool_choice")) is not None:
        tools.choose(choice)
    if members.see("parallel_tool_calls") is True:  # calls may always be parallel; it cannot be switched off
        members.take("parallel_tool_calls")
    return tools


def _refuse_functions(members: Members) -> None:
    for old in ("functions", "function_call"):
        if members.see(old):
            raise BadRequest(f"Gemini cannot be given {old!r}; use 'tools'.", param=old)


def _tier(members: Members) -> Json:
    if members.see("service_tier") == "auto":
        members.take("service_tier")
    tier = TIERS.get(str(members.see("service_tier")))
    return {"serviceTier": tier} if tier and members.take("service_tier") else {}
