"""What the tests of the core share: a plain reading of streams, cutting, and a run of the Relay as values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import strategies as st

from llmproxy.core.adapter import Translator
from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import UpstreamError
from llmproxy.core.trace import Trace
from llmproxy.testing import cut_at
from tests.thorough import examples

lean = examples(50)
thorough = examples(100)

CUTS = st.lists(st.integers(0, 1 << 30), max_size=12)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_BROKEN = frozenset('\x00\x01\x1f"\\/\x7f\u2028\u2029\u0085é世🌍')
TRICKY = st.text(st.one_of(st.sampled_from(sorted(_BROKEN)), st.characters(exclude_categories=["Cs"])), max_size=12)


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The bytes cut at these places, however large the numbers are."""
    return cut_at(data, sorted({cut % (len(data) + 1) for cut in cuts}))


def chat(*, stream: bool = True, face: Any = "chat", **members: Any) -> Chat:
    body = {"model": "asked-model", "messages": [], "stream": stream, **members}
    return Chat(body, "asked-model", face, trace=Trace("req", 1700000000))


def run(relay: Translator, parts: Iterable[bytes]) -> tuple[bytes, UpstreamError | None]:
    """Everything that the relay gives, and the failure that it ended with."""
    out: list[bytes] = []
    try:
        for part in parts:
            for given in relay.feed(part):
                out.append(given)
        for given in relay.finish():
            out.append(given)
    except UpstreamError as error:
        return b"".join(out), error
    return b"".join(out), None


def said_in(stream: bytes) -> list[bytes]:
    """The data of each event, read plainly by the rules of the HTML standard; the last needs no blank line."""
    found: list[bytes] = []
    held: list[bytes] = []
    for line in [*re.split(rb"\r\n|\r|\n", stream.removeprefix(b"\xef\xbb\xbf")), b""]:
        if not line and held:
            found.append(b"\n".join(held))
            held = []
        name, _, value = line.partition(b":")
        if name == b"data":
            held.append(value.removeprefix(b" "))
    return found


def strict(data: bytes) -> Any:
    """JSON as the most pedantic client reads it. Raises ValueError."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    return json.loads(data.decode(), parse_constant=refuse)


def chunks_in(stream: bytes) -> list[Json]:
    """The chunks of a client's stream, each strictly valid, without the `[DONE]`."""
    return [strict(data) for data in said_in(stream) if data != b"[DONE]"]
