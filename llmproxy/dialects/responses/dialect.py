"""OpenAI's Responses as a Dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from llmproxy.core.adapter import Adapter, Translator
from llmproxy.core.chat import Chat
from llmproxy.core.dialect import EVENT_STREAM, Judge
from llmproxy.core.errors import GatewayError
from llmproxy.wire.sse import PING

from . import as_chat as translating
from . import pass_on
from .encode_reply import frame
from .errors import failure, status_of
from .ids import fresh
from .known import Known
from .response_object import echo
from .watch import Watched, last_number


@dataclass(slots=True)
class Responses:
    """known: the server's stored responses that the one request of this object refers to."""

    known: Known = field(default_factory=Known)
    name: str = "responses"
    stream_type: str = EVENT_STREAM

    def as_chat(self, chat: Chat) -> Chat:
        return translating.as_chat(chat, self.known)

    def watch(self, chat: Chat, judge: Judge) -> Translator:
        return Watched(chat, judge, self.known)

    def suits(self, chat: Chat, adapter: Adapter) -> bool:
        return pass_on.suits(chat, adapter, self.known)

    def passed(self, chat: Chat, adapter: Adapter) -> Chat:
        return pass_on.passed(chat, adapter, self.known)

    def without_thoughts(self, chat: Chat) -> Chat | None:
        bare = pass_on.without_thoughts(chat, self.known)
        return replace(bare[0], dialect=Responses(bare[1])) if bare is not None else None

    def error(self, error: GatewayError, request_id: str) -> tuple[bytes, Mapping[str, str]]:
        return error.as_bytes(), {}

    def status(self, error: GatewayError) -> int:
        return status_of(error)

    def error_event(self, error: GatewayError) -> bytes:
        """SDKs require `response.created` before `response.failed`."""
        response = {
            "id": self.known.id or fresh("resp"), "object": "response", "created_at": 0, "status": "in_progress",
            "error": None, "incomplete_details": None, "model": "", "output": [], **echo({}, stored=False), "usage": None,
        }  # fmt: skip
        failed = {**response, "status": "failed", "error": failure(error)}
        return frame("response.created", 0, {"response": response}) + frame("response.failed", 1, {"response": failed})

    def ping(self, last: bytes) -> bytes:
        """Codex counts typed events only. The event repeats the last number, so that the numbers of all others have no
        gaps.
        """
        number = last_number(last) if last else None
        if number is None:
            return PING
        return b'event: keepalive\ndata: {"type":"keepalive","sequence_number":%d}\n\n' % number

    def headers(self, request_id: str) -> Mapping[str, str]:
        return {}


DIALECT = Responses()
