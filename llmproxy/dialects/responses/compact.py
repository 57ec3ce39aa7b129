"""POST /v1/responses/compact: a conversation in a form that only the provider that made it can read.

It is passed on to providers that have this endpoint, and refused for all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from llmproxy.core.adapter import Translator
from llmproxy.core.chat import Chat, Json
from llmproxy.core.dialect import Judge
from llmproxy.core.errors import BadRequest
from llmproxy.core.trace import Trace
from llmproxy.core.usage import Usage
from llmproxy.wire.pass_through import PassThrough

from .dialect import Responses
from .request import parse_response
from .response_object import chat_usage


@dataclass(slots=True)
class Compact(Responses):
    """The Responses dialect for requests and errors of this endpoint."""

    def as_chat(self, chat: Chat) -> Chat:
        text = f"/v1/responses/compact is offered by providers that have it, and the one of {chat.model!r} has not."
        raise BadRequest(text, param="model", code="unsupported_endpoint")

    def watch(self, chat: Chat, judge: Judge) -> Translator:
        return _Watched(chat, judge)


class _Watched(PassThrough):
    """Finds usage and errors."""

    def whole(self, answer: Json) -> None:
        if answer.get("error"):
            raise self.judge(answer)
        if isinstance(usage := answer.get("usage"), dict):
            self.usage = Usage.parse(chat_usage(usage))


def parse_compact(
    raw: bytes, trace: Trace, *, default_model: str = "", headers: Mapping[str, str] | None = None
) -> Chat:
    """Parses the body. Raises BadRequest with the path of the wrong member in `param`."""
    chat = parse_response(raw, trace, dialect=Compact(), default_model=default_model, headers=headers)
    return replace(chat, face="compact", streaming=False)
