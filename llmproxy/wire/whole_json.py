"""Gathers a reply that is one JSON text, and notices when it is complete."""

from __future__ import annotations

from typing import Any

import orjson

from llmproxy.core.errors import Malformed

from .json_body import parse_lenient
from .nesting import is_deep
from .sse import MAX_EVENT

CLOSING = 0.05  # seconds to wait for the end of the connection after a complete JSON text
_BLANK = b"\xef\xbb\xbf \r\n\t"  # what may stand in front, a byte order mark included
_LOOKS = 16


def first_sign(data: bytes) -> bytes:
    """The first byte that is not blank; empty if there is none."""
    return data.lstrip(_BLANK)[:1]


class WholeJson:
    """The pieces of the text, and its value once they are all there."""

    __slots__ = ("_looks", "_pieces", "_value")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._value: Any = None
        self._looks = 0

    def add(self, data: bytes) -> bool:
        """Whether the text is complete. It is checked only if a piece ends like JSON, and a limited number of times.

        Raises Malformed if the text is too large.
        """
        pieces = self._pieces
        pieces.append(data)
        self._value = None
        if len(pieces) % 64 == 0 and sum(map(len, pieces)) > 4 * MAX_EVENT:
            raise Malformed("The provider's answer is too large.", retry_here=False)
        if self._looks > _LOOKS or data.rstrip()[-1:] not in (b"}", b"]"):
            return False
        self._looks += 1
        try:
            self._value = orjson.loads(self.text)
        except orjson.JSONDecodeError:
            return False
        return True

    @property
    def text(self) -> bytes:
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def parsed(self, text: bytes) -> tuple[Any, bool]:
        """The value of the whole text, and whether that is strictly valid. Raises Malformed."""
        if self._value is not None and not is_deep(self._value, text):
            return self._value, True
        return parse_lenient(text)
