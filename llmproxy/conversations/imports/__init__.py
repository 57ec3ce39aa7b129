"""Exports of other chat programs as an export of this gateway. What has no place here is counted.

The formats are not documented by their makers. What is known of them comes from public converters and published exports.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest

from .chatgpt import chatgpt_thread
from .claude import claude_thread
from .llms import llms_thread
from .open_webui import open_webui_thread
from .values import an_object, objects

FORMAT = "llmproxy-threads"
VERSION = 1

LeftOut = Counter[str]
Thread = Callable[[Json, LeftOut], Json]


def read(raw: bytes) -> Any:
    """The JSON of an export. Some have halves of letters (lone surrogates), which become question marks. Raises BadRequest."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    try:
        return orjson.loads(json.dumps(json.loads(raw), ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        raise BadRequest("That is not valid JSON.", code="invalid_json") from None


def converted(file: Any, now: float) -> tuple[Any, LeftOut]:
    """The file as this gateway exports threads, and what was left out: how many of which kind.

    Kinds are the names of the other program's format (`tether_quote`), or `image`, `audio`, `file`, `hidden`, `system`,
    `message` and `chat`. An export of this gateway is returned as it is. Raises BadRequest for what is none of these.
    """
    if isinstance(file, dict) and file.get("format") == FORMAT:
        return file, LeftOut()
    left: LeftOut = Counter()
    chats = [(kind, chat) for chat in _chats(file) if (kind := _kind(chat)) is not None]
    if not chats:
        known = "this gateway, ChatGPT, Claude, Open WebUI or llms.py"
        raise BadRequest(f"That is not an export of {known}.", code="unknown_export")
    threads = [kind(chat, left) for kind, chat in chats]
    kept = [thread for thread in threads if thread["messages"]]
    if len(kept) < len(threads):
        left["chat"] += len(threads) - len(kept)
    return {"format": FORMAT, "version": VERSION, "exported_at": now, "threads": kept}, left


def _chats(file: Any) -> list[Json]:
    """An export has its chats at the top or in a member, or is one chat."""
    if isinstance(file, list):
        return objects(file)
    top = an_object(file)
    for name in ("threads", "conversations", "chats"):
        if isinstance(top.get(name), list):
            return objects(top[name])
    return [top]


def _kind(chat: Json) -> Thread | None:
    if "mapping" in chat:
        return chatgpt_thread
    if "chat_messages" in chat:
        return claude_thread
    if "history" in an_object(chat.get("chat")):
        return open_webui_thread
    if isinstance(chat.get("messages"), list) and not chat.keys().isdisjoint(
        ("createdAt", "updatedAt", "systemPrompt")
    ):
        return llms_thread
    return None
