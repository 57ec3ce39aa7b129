"""Anthropic's Messages as a Dialect."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from llmproxy.core.adapter import Adapter, Translator
from llmproxy.core.chat import Chat
from llmproxy.core.dialect import EVENT_STREAM, Judge
from llmproxy.core.errors import GatewayError
from llmproxy.wire.sse import PING

from . import as_chat as translating
from . import errors
from .pass_on import own_only, without_thoughts
from .watch import Watched

_PING = b'event: ping\ndata: {"type": "ping"}\n\n'


class Messages:
    """Has no state: what belongs to one answer is in its encoder or watcher."""

    name = "messages"
    stream_type = EVENT_STREAM

    def as_chat(self, chat: Chat) -> Chat:
        return translating.as_chat(chat)

    def watch(self, chat: Chat, judge: Judge) -> Translator:
        return Watched(chat, judge)

    def suits(self, chat: Chat, adapter: Adapter) -> bool:
        return True

    def passed(self, chat: Chat, adapter: Adapter) -> Chat:
        return own_only(chat)

    def without_thoughts(self, chat: Chat) -> Chat | None:
        return without_thoughts(chat)

    def error(self, error: GatewayError, request_id: str) -> tuple[bytes, Mapping[str, str]]:
        return orjson.dumps(errors.as_error(error, request_id)), self.headers(request_id)

    def status(self, error: GatewayError) -> int:
        return errors.status_of(error)

    def error_event(self, error: GatewayError) -> bytes:
        return errors.event(error)

    def ping(self, last: bytes) -> bytes:
        """`message_start` must be the first event, so before it only a comment may come."""
        return _PING if last else PING

    def headers(self, request_id: str) -> Mapping[str, str]:
        return {"request-id": request_id}


DIALECT = Messages()
