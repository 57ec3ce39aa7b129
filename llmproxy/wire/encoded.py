"""Encodes the chat frames of another translator in the client's dialect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from llmproxy.core.adapter import Translator
from llmproxy.core.dialect import Encoder
from llmproxy.core.errors import GatewayError, Malformed
from llmproxy.core.marks import unmarked
from llmproxy.core.usage import Usage

from .chat_accumulator import as_chunks
from .sse import Events


class Encoded:
    """A Translator around one that returns chat chunks or, if the answer is not a stream, one completion."""

    def __init__(self, inner: Translator, encoder: Encoder, *, stream: bool) -> None:
        self._inner = inner
        self._encoder = encoder
        self._events = Events()
        self._whole: list[bytes] | None = None if stream else []
        self._ended = False

    @property
    def usage(self) -> Usage | None:
        return self._inner.usage

    @property
    def started(self) -> bool:
        return self._inner.started

    @property
    def done(self) -> bool:
        return self._inner.done

    @property
    def produced(self) -> int:
        return self._inner.produced

    def feed(self, data: bytes) -> Iterable[bytes]:
        yield from self._read(self._inner.feed(data))

    def finish(self) -> Iterable[bytes]:
        yield from self._read(self._inner.finish())

    def failed(self, error: GatewayError) -> bytes:
        return self._encoder.failed(error)

    def _read(self, frames: Iterable[bytes]) -> Iterator[bytes]:
        for one in frames:
            if self._whole is not None:
                self._whole.append(one)
                continue
            for event in self._events.feed(one):
                if event.data.startswith(b"{"):
                    yield from self._encoder.feed(unmarked(_parsed(event.data)))
        if self._inner.done and not self._ended:
            self._ended = True
            for chunk in as_chunks(_parsed(b"".join(self._whole))) if self._whole else ():
                yield from self._encoder.feed(unmarked(chunk))
            yield from self._encoder.finish()


def _parsed(data: bytes) -> dict[str, object]:
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Malformed("The provider sent a chunk that is not JSON.") from error
    if not isinstance(parsed, dict):
        raise Malformed("The provider sent an event that is not a JSON object.")
    return parsed
