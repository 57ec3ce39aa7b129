"""More line ends between two events than one blank line needs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from llmproxy.core.chat import Chat
from llmproxy.core.trace import Trace
from llmproxy.testing import chunk, cut_at, sse
from llmproxy.wire.relay import Relay
from tests.core.kit import run, said_in

EVENTS = sse(chunk({"role": "assistant", "content": "Hi"}), chunk({"content": " you"}), chunk({}, finish="stop"))


def passed(parts: Sequence[bytes]) -> list[bytes]:
    """The data of each event that the client gets."""
    given, failure = run(Relay(Chat({"stream": True}, "m", trace=Trace("id", 1))), parts)
    assert failure is None
    return said_in(given)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("count", [3, 4, 5])
def test_further_line_ends_change_nothing_wherever_the_bytes_are_cut(end: bytes, count: int) -> None:
    stream = EVENTS.replace(b"\n\n", end * count)
    assert len(passed([EVENTS])) == 4
    for at in range(len(stream)):
        assert passed(cut_at(stream, [at])) == passed([EVENTS]), at


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("count", [3, 4, 5])
def test_nor_do_they_when_each_byte_comes_by_itself(end: bytes, count: int) -> None:
    stream = EVENTS.replace(b"\n\n", end * count)
    assert passed([bytes([one]) for one in stream]) == passed([EVENTS])
