"""Parses server-sent events by the standard, whatever their framing."""

from __future__ import annotations

import re
from collections.abc import Iterator

LINE_END = re.compile(rb"\r\n|\r|\n")


def events(body: bytes) -> Iterator[bytes]:
    """The data of each event. Events without data, or without a blank line at the end, are ignored."""
    return (data for _, data in named(body))


def named(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The name (empty if it has none) and the data of each event.

    Source: WHATWG HTML, section 9.2.6, "Interpreting an event stream".
    """
    kind, data = b"", list[bytes]()
    *lines, _unfinished = LINE_END.split(body.removeprefix(b"\xef\xbb\xbf"))
    for line in lines:
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        elif name == b"event":
            kind = value.removeprefix(b" ")
        elif not line and any(data):
            yield kind, b"\n".join(data)
        if not line:
            kind, data = b"", []


def reframed(body: bytes) -> bytes:
    """The same events as OpenAI frames them: one `data: ` line and a blank line each."""
    return b"".join(b"data: %b\n\n" % data.replace(b"\n", b" ") for data in events(body))


def renamed(body: bytes) -> bytes:
    """The same events, with the names that they had: one `event: ` line, one `data: ` line and a blank line each."""
    return b"".join(
        (b"event: %b\n" % name if name else b"") + b"data: %b\n\n" % data.replace(b"\n", b" ")
        for name, data in named(body)
    )
