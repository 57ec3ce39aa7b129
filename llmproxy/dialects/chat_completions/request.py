"""Parses the body of POST /v1/chat/completions."""

from __future__ import annotations

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest
from llmproxy.core.trace import Trace
from llmproxy.wire.openai_request import parse_request

_CONTENTS = frozenset((str, list, type(None)))


def parse_chat(raw: bytes, trace: Trace, *, default_model: str = "") -> Chat:
    """Parses the body. Raises BadRequest with the path of the wrong member in `param`."""
    return parse_request(raw, "chat", trace, _check, default_model=default_model)


def _check(body: Json) -> None:
    messages = body.get("messages")
    if messages is None:
        raise BadRequest("`messages` is missing.", param="messages", code="missing_required_parameter")
    if type(messages) is not list:
        raise BadRequest("`messages` must be a list.", param="messages", code="invalid_type")
    if not messages:
        raise BadRequest("`messages` must have at least one message.", param="messages", code="empty_array")
    for number, message in enumerate(messages):
        if type(message) is not dict:
            raise BadRequest(
                f"`messages[{number}]` must be an object.", param=f"messages[{number}]", code="invalid_type"
            )
        if "role" not in message or type(message["role"]) is not str:
            raise BadRequest(
                f"`messages[{number}].role` must be a string.", param=f"messages[{number}].role", code="invalid_type"
            )
        if "content" in message and type(message["content"]) not in _CONTENTS:
            where = f"messages[{number}].content"
            raise BadRequest(f"`{where}` must be a string or a list of parts.", param=where, code="invalid_type")
