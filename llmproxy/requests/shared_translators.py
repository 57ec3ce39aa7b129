"""Translators of an answer that is not read from a provider: it is shared with another request, or was stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from llmproxy.core.adapter import Translator
from llmproxy.core.errors import GatewayError
from llmproxy.core.usage import Usage

if TYPE_CHECKING:
    from .shared_answers import Reading, SharedAnswer


class Followed:
    """The translator of a shared answer, as one of its readers sees it. Only the request that began it has used tokens."""

    def __init__(self, answer: SharedAnswer, reader: Reading) -> None:
        assert answer.reply is not None
        self._answer = answer
        self._translator: Translator = answer.reply.translator
        self._counts = answer.trace.parent is reader._chat.trace
        self.started = True
        self.done = False

    @property
    def usage(self) -> Usage | None:
        return self._translator.usage if self._counts else None

    @property
    def produced(self) -> int:
        return self._translator.produced if self._counts else 0

    def failed(self, error: GatewayError) -> bytes | None:
        """The last events of a stream that fails: made once, as the encoder's numbers go on."""
        if self._answer.last_events is None:
            failed = getattr(self._translator, "failed", None)
            self._answer.last_events = (failed(error) if failed is not None else None) or b""
        return self._answer.last_events or None

    def feed(self, data: bytes) -> Iterable[bytes]:
        raise NotImplementedError("a shared answer is fed by the task that asks for it")

    def finish(self) -> Iterable[bytes]:
        raise NotImplementedError("a shared answer is finished by the task that asks for it")


class Given:
    """The translator of a kept answer: nothing was used for it."""

    usage: Usage | None = None
    started = True
    produced = 0

    def __init__(self) -> None:
        self.done = False

    def feed(self, data: bytes) -> Iterable[bytes]:
        raise NotImplementedError("a kept answer is complete")

    def finish(self) -> Iterable[bytes]:
        return ()


async def each(blocks: tuple[bytes, ...], translator: Given) -> AsyncIterator[bytes]:
    for number, block in enumerate(blocks, 1):
        translator.done = number == len(blocks)
        yield block
