"""Translator for embeddings: one JSON answer, passed through if it conforms to OpenAI's format."""

from __future__ import annotations

import base64
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import Malformed, UpstreamError
from llmproxy.core.usage import Usage

from .error_dresses import disguised
from .nesting import MAX_NESTING, is_deep
from .provider_errors import in_band

MAX_ANSWER = 128 * 1024 * 1024  # bytes


class Vectors:
    """`read` converts the provider's answer to OpenAI's form, if it has another."""

    def __init__(
        self,
        chat: Chat,
        read: Callable[[Json], Json] | None = None,
        blame: Callable[[Json], UpstreamError] = in_band,
    ) -> None:
        self._chat = chat
        self._read = read
        self._blame = blame
        self._pieces: list[bytes] = []
        self.usage: Usage | None = None
        self.done = False
        self.produced = 0

    @property
    def started(self) -> bool:
        return self.done

    def feed(self, data: bytes) -> Iterable[bytes]:
        self._pieces.append(data)
        if len(self._pieces) % 64 == 0 and sum(map(len, self._pieces)) > MAX_ANSWER:
            raise Malformed("The provider's answer is too large.", retry_here=False)
        return ()

    def finish(self) -> Iterator[bytes]:
        body = b"".join(self._pieces)
        answer = _parsed(body)
        if answer.get("error"):
            raise self._blame(answer)
        if self._read is None and not answer.get("data") and (error := disguised(answer)) is not None:
            raise self._blame({"error": error})
        shown = self._read(answer) if self._read else answer
        data = shown.get("data")
        if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
            raise Malformed("The provider's answer has no embeddings.")
        usage = shown.get("usage")
        self.usage = Usage.parse(usage) if isinstance(usage, dict) else None
        self.done = True
        yield body if shown is answer and _is_whole(answer) else orjson.dumps(self._completed(shown))

    def _completed(self, answer: Json) -> Json:
        data = [{**one, "object": "embedding", "index": _place(one, i)} for i, one in enumerate(answer["data"])]
        model = answer.get("model") if isinstance(answer.get("model"), str) else self._chat.model
        return {**answer, "object": "list", "model": model, "data": data}


def _parsed(body: bytes) -> Json:
    try:
        answer: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("The provider's answer is not JSON.") from error
    if is_deep(answer, body):
        raise Malformed(f"The provider's answer is nested deeper than {MAX_NESTING} levels.", retry_here=False)
    if not isinstance(answer, dict):
        raise Malformed("The provider's answer is not a JSON object.")
    return answer


def _place(one: Json, at: int) -> int:
    index = one.get("index")
    return index if type(index) is int else at


def _is_whole(answer: Json) -> bool:
    named = answer.get("object") == "list" and isinstance(answer.get("model"), str)
    return named and all(one.get("object") == "embedding" and type(one.get("index")) is int for one in answer["data"])


def encoded(vector: Iterable[float], encoding: object) -> list[float] | str:
    """A vector in the form that the client asked for: a list, or base64 of little-endian 32-bit floats."""
    if encoding != "base64":
        return list(vector)
    floats = array("f", vector)
    if array("H", b"\x01\x00")[0] != 1:  # a big-endian machine
        floats.byteswap()
    return base64.b64encode(floats.tobytes()).decode()
