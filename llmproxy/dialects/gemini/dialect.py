"""Gemini's own API as a Dialect. Answers are events, or one JSON text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from llmproxy.core.adapter import Translator
from llmproxy.core.chat import Chat
from llmproxy.core.dialect import EVENT_STREAM, Judge
from llmproxy.core.errors import GatewayError

from .array import Array
from .as_chat import as_chat
from .encode_reply import failed
from .errors import failure, status_of
from .request import unsigned
from .watch import Watched


@dataclass(slots=True)
class Gemini:
    """as_list: a stream requested without `alt=sse` is one JSON array."""

    as_list: bool = False
    name: str = "gemini"

    @property
    def stream_type(self) -> str:
        return "application/json; charset=UTF-8" if self.as_list else EVENT_STREAM

    def as_chat(self, chat: Chat) -> Chat:
        return as_chat(chat, as_list=self.as_list)

    def watch(self, chat: Chat, judge: Judge) -> Translator:
        return Watched(chat, judge, as_list=self.as_list)

    def without_thoughts(self, chat: Chat) -> Chat | None:
        return unsigned(chat)

    def error(self, error: GatewayError, request_id: str) -> tuple[bytes, Mapping[str, str]]:
        body = failure(error)
        return orjson.dumps([body] if self.as_list else body), {}

    def status(self, error: GatewayError) -> int:
        return status_of(error)

    def error_event(self, error: GatewayError) -> bytes:
        return Array().failed(error) if self.as_list else failed(error)

    def ping(self, last: bytes) -> bytes:
        """An empty line, which JSON allows. Google's SDKs treat a comment as broken JSON, or stop reading at it."""
        return b"\n"

    def headers(self, request_id: str) -> Mapping[str, str]:
        return {}


DIALECT = Gemini()
AS_LIST = Gemini(as_list=True)
