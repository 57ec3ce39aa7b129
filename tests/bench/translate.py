"""What a translator costs for one event: fed one by one, as a paced stream brings them, without any socket."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from llmproxy.adapters.gemini import Gemini
from llmproxy.adapters.openai import OpenAI

from llmproxy.core.adapter import Account, Adapter
from llmproxy.core.chat import Chat

from .frames import GEMINI, OPENAI, OPENAI_USAGE, Dialect

EVENTS = 2000  # per translator, so that its making does not count
ASKED = Chat({"model": "mock", "messages": [], "stream": True}, "mock")


@dataclass(frozen=True, slots=True)
class Kind:
    """An adapter and what its provider says."""

    name: str
    adapter: Adapter
    dialect: Dialect


KINDS = (
    Kind("OpenAI event", OpenAI(Account("openai", api_key="x")), OPENAI),
    Kind("OpenAI, with null usage", OpenAI(Account("openai", api_key="x")), OPENAI_USAGE),
    Kind("Gemini event", Gemini(Account("gemini", api_key="x")), GEMINI),
)


def costs(seconds: float) -> Iterator[tuple[str, float]]:
    """Name and CPU seconds per event, measured for about `seconds` each."""
    for kind in KINDS:
        spent, count = 0.0, 0
        while spent < seconds:
            spent += _once(kind)
            count += EVENTS
        yield kind.name, spent / count


def _once(kind: Kind) -> float:
    """CPU seconds for all the events, by a fresh translator that has seen a stream's beginning."""
    events = [kind.dialect.event(b"%019d" % number) for number in range(EVENTS)]
    translator = kind.adapter.translator(ASKED)
    for frame in (kind.dialect.first, *events[:3]):
        list(translator.feed(frame))
    begun = time.process_time()
    for frame in events:
        for _ in translator.feed(frame):
            pass
    return time.process_time() - begun
