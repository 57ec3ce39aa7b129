"""More line ends between two events than one blank line needs."""

from __future__ import annotations

import pytest

from llmproxy.chat import Chat, Trace
from llmproxy.relay import Relay
from llmproxy.testing import chunk, sse


@pytest.mark.parametrize("ends", [1, 2, 3])
def test_further_line_ends_change_nothing(ends: int) -> None:
    events = sse(chunk({"role": "assistant", "content": "Hi"}), chunk({"content": " you"}), chunk({}, finish="stop"))
    assert passed(events.replace(b"\n\n", b"\n\n" + b"\n" * ends)).count(b"data: ") == passed(events).count(b"data: ")


def passed(data: bytes) -> bytes:
    relay = Relay(Chat({"stream": True}, "m", trace=Trace("id", 1)))
    return b"".join((*relay.feed(data), *relay.finish()))
