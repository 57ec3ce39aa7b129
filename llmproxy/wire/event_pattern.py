"""Learns the pattern of a plain stream event: literals, one text, counting numbers, padding.

For streams that are passed through: a block in which every event has this form needs no parsing. The text may be anything
that a JSON string may be; a member that counts (`sequence_number`) may be any number; padding is spaces before the last
brace (Anthropic) or a string that means nothing (OpenAI's `obfuscation`). Everything else is the same to the byte, so
another block, another item, a finish, usage or an error breaks the pattern, and the event is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from .plain_events import TEXT, is_utf8

_TEXT = re.compile(TEXT)
_NUMBER = re.compile(rb"0|[1-9]\d*")
_SPACES = re.compile(rb" *")
_VARIES = re.compile(rb'"sequence_number"\s*:\s*(\d+)|"obfuscation"\s*:\s*"(%b)"|}( *)}\s*$' % TEXT)
_BY_GROUP = (_NUMBER, _TEXT, _SPACES)

Match = Callable[[bytes, int], "re.Match[bytes] | None"]


class EventPattern:
    """The form of one kind of event: literals, and what may stand between them."""

    __slots__ = ("_first", "_steps")

    def __init__(self, first: bytes, steps: Sequence[tuple[Match, bytes, bool]]) -> None:
        """steps: what varies, the literal after it, and whether it is the text."""
        self._first = first
        self._steps = [(match, literal, len(literal), counts) for match, literal, counts in steps]

    @classmethod
    def learn(cls, event: bytes, member: str) -> EventPattern | None:
        """The pattern of a whole event, its blank line included, whose text is the string in `member`.

        None where the text cannot be told from the rest.
        """
        found = list(re.finditer(rb'"%b"\s*:\s*"(%b)"' % (re.escape(member.encode()), TEXT), event))
        if len(found) != 1 or not event.endswith(b"\n\n"):
            return None
        start, stop = found[0].span(1)
        spans = [(start, stop, _TEXT.match, True)]
        for one in _VARIES.finditer(event):
            group = one.lastindex or 0
            if not start <= one.start() < stop:
                spans.append((*one.span(group), _BY_GROUP[group - 1].match, False))
        spans.sort(key=lambda span: span[:2])
        ends = [*(span[0] for span in spans[1:]), len(event)]
        steps = [(match, event[stop:end], counts) for (_, stop, match, counts), end in zip(spans, ends, strict=True)]
        return cls(event[: spans[0][0]], steps)

    def text_in(self, block: bytes) -> int:
        """Bytes of text in a block of whole events; -1 if one of them has another form."""
        first, steps = self._first, self._steps
        at, text = 0, 0
        while at < len(block):
            if not block.startswith(first, at):
                return -1
            at += len(first)
            for match, literal, length, counts in steps:
                found = match(block, at)
                if found is None:
                    return -1
                end = found.end()
                if not block.startswith(literal, end):
                    return -1
                if counts:
                    text += end - at
                at = end + length
        return text if block.isascii() or is_utf8(block) else -1
