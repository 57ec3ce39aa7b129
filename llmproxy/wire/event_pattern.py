"""Learns the pattern of a plain stream event: literals, one text, numbers, padding.

For streams that are passed through: a block of events that all match the pattern needs no parsing. The text may be any JSON
string; a counting member (`sequence_number`, Gemini's token counts) may be any number; padding is spaces before the last brace
(Anthropic) or a meaningless string (OpenAI's `obfuscation`). All other bytes must be equal, so another block, another item, a
finish, usage or an error does not match, and the event is parsed.
"""

from __future__ import annotations

import re

from .plain_events import TEXT, is_utf8

_NUMBER = rb"(?:0|[1-9]\d*)"
_VARIES = re.compile(rb'"(?:sequence_number|\w+TokenCount)"\s*:\s*(\d+)|"obfuscation"\s*:\s*"(%b)"|}( *)}\s*$' % TEXT)
_BY_GROUP = (_NUMBER, rb"(?:%b)" % TEXT, rb" *")


class EventPattern:
    """The pattern of one kind of event as one regular expression. A whole block is matched at once, without a loop in Python."""

    __slots__ = ("_all", "_texts")

    def __init__(self, event: bytes) -> None:
        """event: the expression; its only group is the text."""
        self._texts = re.compile(event).findall
        self._all = re.compile(rb"(?>%b)*+" % event).fullmatch

    @classmethod
    def learn(cls, event: bytes, member: str) -> EventPattern | None:
        """The pattern of a whole event, with its blank line, whose text is the string in `member`.

        None if the text cannot be located without doubt.
        """
        found = list(re.finditer(rb'"%b"\s*:\s*"(%b)"' % (re.escape(member.encode()), TEXT), event))
        if len(found) != 1 or not event.endswith(b"\n\n"):
            return None
        start, stop = found[0].span(1)
        spans = [(start, stop, rb"(%b)" % TEXT)]
        for one in _VARIES.finditer(event):
            group = one.lastindex or 0
            if not start <= one.start() < stop:
                spans.append((*one.span(group), _BY_GROUP[group - 1]))
        pattern, at = b"", 0
        for begin, end, varying in sorted(spans):
            pattern += re.escape(event[at:begin]) + varying
            at = end
        return cls(pattern + re.escape(event[at:]))

    def text_in(self, block: bytes) -> int:
        """Bytes of text in a block of whole events; -1 if one of them does not match."""
        if self._all(block) is None or not (block.isascii() or is_utf8(block)):
            return -1
        return sum(map(len, self._texts(block)))
