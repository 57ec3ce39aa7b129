"""Fast path for streams: recognises the unchanged bytes around the text, so that blocks of events need no JSON parsing."""

from __future__ import annotations

import re
from itertools import repeat
from operator import itemgetter

# The content of a JSON string. Surrogates must be pairs: a single one cannot be written as UTF-8.
_PAIR = rb"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPED = rb'["\\/bfnrt]|u(?:[0-9a-ce-fA-CE-F][0-9a-fA-F]|[dD][0-7])[0-9a-fA-F]{2}|' + _PAIR
TEXT = rb'[^"\\\x00-\x1f]*(?:\\(?:%b)[^"\\\x00-\x1f]*)*' % _ESCAPED
_BEGIN = re.compile(TEXT)
_STRING = re.compile(TEXT).fullmatch
# The texts of a block, separated by NUL; with padding, there is a \x01 between text and padding. Neither is possible in a JSON
# string.
_TEXTS = re.compile(rb"%b(?:\x00%b)*" % (TEXT, TEXT)).fullmatch
_PADDED = re.compile(rb"%b\x01%b(?:\x00%b\x01%b)*" % (TEXT, TEXT, TEXT, TEXT)).fullmatch
_PADDING = re.compile(rb"\x01[^\x00]*")
_HARMLESS = bytes(set(range(32, 256)) - set(b'"\\'))  # bytes that are allowed anywhere in a string
_SIGN = b'"obfuscation":"'  # OpenAI's random padding, the only other part that differs between events


class Shape:
    """The form of a plain event, learned from a parsed event that needed no change.

    Another ID, a role, a finish, usage, a tool call, an error, broken JSON, a comment, another line end: with any of these the
    bytes differ, and the block is parsed.
    """

    __slots__ = ("_before", "_inside", "_least", "_middle", "_quotes", "_rest")

    def __init__(self, before: bytes, middle: bytes, end: bytes) -> None:
        self._before = before
        self._middle = middle  # between text and padding; empty without padding
        self._quotes = b'"' * middle.count(b'"')
        self._rest = end + b"\n\n"
        self._least = len(before) + len(self._rest)
        self._inside = itemgetter(slice(len(before), -len(end)))

    @classmethod
    def learn(cls, data: bytes, key: str) -> Shape | None:
        """The shape of an event with this `data`, whose text is the string of the first member `key`."""
        before, sign, rest = data.partition(b'"%s":"' % key.encode())
        text = _BEGIN.match(rest)
        if not sign or text is None or rest[text.end() : text.end() + 1] != b'"':
            return None
        start = b"data: " + before + sign
        middle, padded, end = rest[text.end() :].partition(_SIGN)
        if not padded:
            return cls(start, b"", middle)
        padding = _BEGIN.match(end)
        return cls(start, middle + padded, end[padding.end() :] if padding is not None else end)

    def text_in(self, block: bytes) -> int:
        """Bytes of text in a block of whole events, or -1 if one of them is not plain.

        The text between the two known ends of each line is cut out and put between these ends again. If the result equals the
        block, every event has this shape. This is the fastest way, because it needs no loop in Python.
        """
        before, rest = self._before, self._rest
        if len(block) < 2 * self._least:  # too short for two events
            return self.text_of(block)
        if b"\x00" in block or b"\x01" in block or not (block.isascii() or is_utf8(block)):
            return -1
        texts = list(map(self._inside, block.split(b"\n")[:-1:2]))
        whole = (rest + before).join(texts)
        if len(block) != len(before) + len(whole) + len(rest):
            return -1
        if not (block.startswith(before) and block.startswith(whole, len(before)) and block.endswith(rest)):
            return -1
        return self._length(texts)

    def _length(self, texts: list[bytes]) -> int:
        """The length of all texts without their padding; -1 if the strings are not texts, with padding if the shape has it."""
        count, joined = len(texts), b"\x00".join(texts)
        if joined.translate(None, _HARMLESS) != b"\x00".join([self._quotes] * count):
            return self._length_escaped(joined, count)
        if not self._middle:
            return len(joined) - count + 1
        if joined.count(self._middle) != count:
            return -1
        return sum(map(bytes.find, texts, repeat(b'"')))  # a text ends at its first quote

    def _length_escaped(self, joined: bytes, count: int) -> int:
        if not self._middle:
            return len(joined) - count + 1 if _TEXTS(joined) else -1
        joined = joined.replace(self._middle, b"\x01")
        return len(_PADDING.sub(b"", joined)) - count + 1 if _PADDED(joined) else -1

    def text_of(self, event: bytes) -> int:
        """The text of one event with its blank line."""
        if len(event) < self._least or not (event.startswith(self._before) and event.endswith(self._rest)):
            return -1
        if not (event.isascii() or is_utf8(event)):
            return -1
        text = event[len(self._before) : -len(self._rest)]
        if self._middle:
            text, padded, padding = text.partition(self._middle)
            if not padded or _STRING(padding) is None:
                return -1
        return len(text) if _STRING(text) is not None else -1


def is_utf8(data: bytes) -> bool:
    """Whether these bytes are valid UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
