"""Parses the body of POST /v1/messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from llmproxy.core.chat import Chat, Json
from llmproxy.core.dialect import Dialect
from llmproxy.core.errors import BadRequest
from llmproxy.core.trace import Trace
from llmproxy.wire.openai_request import parse_request

ROLES = frozenset(("user", "assistant", "system"))
_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "system": ((str, list), "a valid string or list"),
    "stop_sequences": ((list,), "a valid list"),
    "tool_choice": ((dict,), "a valid dictionary"),
    "thinking": ((dict,), "a valid dictionary"),
    "output_config": ((dict,), "a valid dictionary"),
    "metadata": ((dict,), "a valid dictionary"),
    "tools": ((list,), "a valid list"),
}


def parse_messages(
    raw: bytes, trace: Trace, *, dialect: Dialect, default_model: str = "", headers: Mapping[str, str] | None = None
) -> Chat:
    """Parses the body. Raises BadRequest, with Anthropic's wording where it is known and the member's path in `param`."""
    chat = parse_request(raw, "messages", trace, _check, default_model=default_model, headers=headers)
    return replace(chat, dialect=dialect)


def parse_counted(
    raw: bytes, trace: Trace, *, dialect: Dialect, default_model: str = "", headers: Mapping[str, str] | None = None
) -> Chat:
    """The same for POST /v1/messages/count_tokens, which has no `max_tokens`."""
    chat = parse_request(raw, "messages", trace, _check_asked, default_model=default_model, headers=headers)
    return replace(chat, dialect=dialect)


def _check(body: Json) -> None:
    if body.get("max_tokens") is None:
        raise _missing("max_tokens")
    if not isinstance(body["max_tokens"], int):
        raise _wrong("max_tokens", "a valid integer")
    _check_asked(body)


def _check_asked(body: Json) -> None:
    messages = body.get("messages")
    if messages is None:
        raise _missing("messages")
    if not isinstance(messages, list):
        raise _wrong("messages", "a valid list")
    if not messages:
        raise BadRequest("messages: at least one message is required", param="messages", code="empty_array")
    for number, message in enumerate(messages):
        _check_message(message, f"messages.{number}")
    for name, (kinds, wanted) in _KINDS.items():
        if body.get(name) is not None and not isinstance(body[name], kinds):
            raise _wrong(name, wanted)
    for number, tool in enumerate(body.get("tools") or ()):
        if not isinstance(tool, dict):
            raise _wrong(f"tools.{number}", "a valid dictionary")
        if not isinstance(tool.get("type") or "custom", str):
            raise _wrong(f"tools.{number}.type", "a valid string")


def _check_message(message: object, where: str) -> None:
    if not isinstance(message, dict):
        raise _wrong(where, "a valid dictionary")
    if not isinstance(message.get("role", ""), str):
        raise _wrong(f"{where}.role", "a valid string")
    if message.get("role") not in ROLES:
        raise BadRequest(
            f"{where}.role: Input should be 'user', 'assistant' or 'system'",
            param=f"{where}.role",
            code="invalid_value",
        )
    content = message.get("content")
    if content is None:
        raise _missing(f"{where}.content")
    if not isinstance(content, (str, list)):
        raise _wrong(f"{where}.content", "a valid string or list")
    for at, block in enumerate(content if isinstance(content, list) else ()):
        _check_typed(block, f"{where}.content.{at}")


def _check_typed(block: object, where: str) -> None:
    if not isinstance(block, dict):
        raise _wrong(where, "a valid dictionary")
    if block.get("type") is None:
        raise _missing(f"{where}.type")
    if not isinstance(block["type"], str):
        raise _wrong(f"{where}.type", "a valid string")


def _missing(where: str) -> BadRequest:
    return BadRequest(f"{where}: Field required", param=where, code="missing_required_parameter")


def _wrong(where: str, wanted: str) -> BadRequest:
    return BadRequest(f"{where}: Input should be {wanted}", param=where, code="invalid_type")
