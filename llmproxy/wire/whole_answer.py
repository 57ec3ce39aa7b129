"""The Translator of an answer that is not streamed and has the client's form already: it is sent byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import GatewayError, Malformed, UpstreamError
from llmproxy.core.usage import Usage

from .openai_exact import is_clean
from .relay import Relay
from .whole_json import CLOSING, WholeJson, first_sign


def may_pass(chat: Chat) -> bool:
    """Whether the client is to get one chat completion in OpenAI's form."""
    return chat.face == "chat" and chat.encoder is None and not chat.stream


class WholeAnswer:
    """One look at the answer of a provider with OpenAI's API. An answer that needs a change is read by a Relay."""

    __slots__ = ("_blame", "_chat", "_done", "_grace", "_json", "_relay", "_usage")

    def __init__(self, chat: Chat, blame: Callable[[Json], UpstreamError]) -> None:
        self._chat = chat
        self._blame = blame
        self._json: WholeJson | None = None  # from its first byte on
        self._relay: Relay | None = None  # once the answer is left to it
        self._usage: Usage | None = None
        self._done = False
        self._grace: float | None = None

    @property
    def usage(self) -> Usage | None:
        return self._usage if self._relay is None else self._relay.usage

    @property
    def started(self) -> bool:
        return self._done if self._relay is None else self._relay.started

    @property
    def done(self) -> bool:
        return self._done if self._relay is None else self._relay.done

    @property
    def produced(self) -> int:
        return 0 if self._relay is None else self._relay.produced

    @property
    def grace(self) -> float | None:
        return self._grace if self._relay is None else self._relay.grace

    def feed(self, data: bytes) -> Iterable[bytes]:
        if self._relay is not None:
            return self._relay.feed(data)
        if self._json is None:
            first = first_sign(data)
            if not first:
                return ()
            if first not in b"{[":  # a stream, in spite of what was asked for
                self._relay = Relay(self._chat, blame=self._blame)
                return self._relay.feed(data)
            self._json = WholeJson()
        self._grace = CLOSING if self._json.add(data) else None
        return ()

    def finish(self) -> Iterable[bytes]:
        if self._done:
            return ()
        if self._relay is None and self._json is not None:
            text = self._json.text
            if is_clean(value := self._value(self._json, text)):
                self._usage = Usage.parse(value["usage"]) if value.get("usage") else None
                self._done = True
                return (text,)
        relay = self._relay = self._relay or Relay(self._chat, blame=self._blame, whole=self._json)
        return relay.finish()

    def failed(self, error: GatewayError) -> bytes | None:
        return None

    @staticmethod
    def _value(json: WholeJson, text: bytes) -> Any:
        """What the text says; None if it is not exactly JSON."""
        try:
            value, exact = json.parsed(text)
        except Malformed:
            return None
        return value if exact else None
