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
from .asked_name import Named
from .pass_on import own_only, without_thoughts
from .watch import Watched

_PING = b'event: ping\ndata: {"type": "ping"}\n\n'


class Messages:
    """Has no state: the state of an answer is in its encoder or watcher.

    as_asked: the answer has the model name that the client asked for, not the provider's (asked_name.py).
    """

    name = "messages"
    stream_type = EVENT_STREAM

    def __init__(self, *, as_asked: bool = False) -> None:
        self._as_asked = as_asked

    def as_chat(self, chat: Chat) -> Chat:
        return translating.as_chat(chat, self._named(chat))

    def watch(self, chat: Chat, judge: Judge) -> Translator:
        name = self._named(chat)
        return Named(chat, judge, name) if name else Watched(chat, judge)

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
        """`message_start` must be the first event, so only a comment may be sent before it."""
        return _PING if last else PING

    def headers(self, request_id: str) -> Mapping[str, str]:
        return {"request-id": request_id}

    def _named(self, chat: Chat) -> str:
        model = chat.body.get("model") if self._as_asked else None
        return model if isinstance(model, str) else ""


DIALECT, AS_ASKED = Messages(), Messages(as_asked=True)
