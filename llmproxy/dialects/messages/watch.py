"""Watches the answer of a provider that speaks Messages. The bytes are passed on."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from llmproxy.core.chat import Chat, Json
from llmproxy.core.dialect import Judge
from llmproxy.core.errors import GatewayError, Truncated
from llmproxy.core.usage import Usage
from llmproxy.wire.pass_through import PassThrough

from . import errors
from .tables import before_output

_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_PLAIN = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
# An empty block of these kinds is not an answer yet; a call, or a tool that Anthropic runs, was paid for.
_EMPTY = frozenset(("text", "thinking"))


class Watched(PassThrough):
    """Finds usage, start, end and errors in the events."""

    def __init__(self, chat: Chat, judge: Judge) -> None:
        super().__init__(chat, judge)
        self._counted: Json = {}
        self._ended = False  # the stop reason was received

    def finish(self) -> Iterable[bytes]:
        try:
            yield from super().finish()
        except Truncated:
            if not self._ended:
                raise
            self.started = self.done = True  # some hosts omit the last event, which clients wait for
            yield _STOP

    def failed(self, error: GatewayError) -> bytes:
        return errors.event(error)

    def plain(self, event: Json, name: bytes) -> str:
        delta = event.get("delta")
        return _PLAIN.get(str(delta.get("type")), "") if self.started and isinstance(delta, dict) else ""

    def look(self, event: Json, name: bytes) -> None:
        kind = event.get("type") or name.decode("utf-8", "replace")
        if kind == "error" or event.get("error"):
            raise self.judge({"error": _error(event)})
        if kind == "message_start" and isinstance(event.get("message"), dict):
            message = event["message"]
            self.started |= bool(message.get("content"))
            self._ended = message.get("stop_reason") is not None
            self._count(message.get("usage") if self._ended else before_output(message.get("usage")))
        elif kind == "content_block_start":
            block = event.get("content_block")
            if isinstance(block, dict):
                self.grew(block.get("name"))  # of a tool
                self.started |= block.get("type") not in _EMPTY
        elif kind == "content_block_delta":
            self._grow(event.get("delta"))
        elif kind == "message_delta":
            self._count(event.get("usage"))
            self._ended = self.started = True
        elif kind == "message_stop":
            self.started = self.done = True

    def whole(self, answer: Json) -> None:
        if answer.get("type") == "error" or answer.get("error"):
            raise self.judge({"error": _error(answer)})
        self._count(answer.get("usage"))

    def _grow(self, delta: object) -> None:
        text = next((v for k, v in delta.items() if k in _PLAIN.values()), "") if isinstance(delta, dict) else ""
        self.grew(text)
        self.started = True

    def _count(self, usage: object) -> None:
        if isinstance(usage, dict) and usage:
            self._counted |= {name: value for name, value in usage.items() if value is not None}
            self.usage = Usage.of_messages(self._counted)


def _error(event: Json) -> Json:
    inside = event.get("error")
    if isinstance(inside, dict):
        return inside
    return {"message": inside if isinstance(inside, str) else orjson.dumps(event).decode()[:500]}
