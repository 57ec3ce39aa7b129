"""What the way of one event may cost: calls and JSON parsings, against bounds that were measured and written down."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from llmproxy.adapters.gemini import Gemini
from llmproxy.adapters.openai import OpenAI

from llmproxy.core.adapter import Account, Adapter, Translator
from llmproxy.core.chat import Chat
from tests.bench.frames import GEMINI, OPENAI, OPENAI_USAGE, Dialect

from .counting import calls, kept

EVENTS = 200


@dataclass(frozen=True, slots=True)
class Kind:
    """A provider's stream, and the calls that one of its events may take in our translator.

    Raise a bound only for a reason that users would pay for; lower it when the code got lighter.
    """

    adapter: Adapter
    dialect: Dialect
    bound: float

    def begun(self) -> Translator:
        """A translator that has seen the beginning of its stream."""
        translator = self.adapter.translator(Chat({"model": "m", "messages": [], "stream": True}, "m"))
        for frame in (self.dialect.first, *self.events(3)):
            list(translator.feed(frame))
        return translator

    def events(self, count: int) -> list[bytes]:
        return [self.dialect.event(b"%019d" % number) for number in range(count)]


# Plain events took 17 calls, and half the time, when each was looked at by itself rather than as part of a block.
PLAIN = Kind(OpenAI(Account("openai", api_key="x")), OPENAI, 20)
COUNTED = Kind(OpenAI(Account("openai", api_key="x")), OPENAI_USAGE, 20)
# 176 when every event went through all steps; a further piece of a text needs one look now.
TRANSLATED = Kind(Gemini(Account("gemini", api_key="x")), GEMINI, 90)
KINDS = {"plain": PLAIN, "with null usage": COUNTED, "Gemini": TRANSLATED}


def fed(kind: Kind, events: list[bytes]) -> Counter[str]:
    translator = kind.begun()
    return calls(lambda: [list(translator.feed(event)) for event in events])


@pytest.mark.parametrize("name", KINDS)
def test_an_event_takes_no_more_calls_than_it_took(name: str) -> None:
    kind = KINDS[name]
    each = fed(kind, kind.events(EVENTS)).total() / EVENTS
    assert each <= kind.bound


@pytest.mark.parametrize("name", ["plain", "with null usage"])
def test_a_plain_event_is_never_parsed(name: str) -> None:
    assert fed(KINDS[name], KINDS[name].events(EVENTS))["loads"] == 0


def test_a_translated_event_is_parsed_once_and_written_once() -> None:
    counted = fed(TRANSLATED, TRANSLATED.events(EVENTS))
    assert (counted["loads"], counted["dumps"]) == (EVENTS, EVENTS)


@pytest.mark.parametrize("name", KINDS)
def test_the_cost_of_an_event_does_not_grow_with_the_stream(name: str) -> None:
    kind = KINDS[name]
    assert fed(kind, kind.events(5 * EVENTS)).total() <= 5.1 * fed(kind, kind.events(EVENTS)).total()


def test_a_plain_block_costs_the_same_however_it_is_cut() -> None:
    whole = b"".join(PLAIN.events(EVENTS))
    pieces = [whole[start : start + 1448] for start in range(0, len(whole), 1448)]
    assert fed(PLAIN, pieces)["loads"] == 0


def test_only_the_events_that_are_not_plain_are_parsed_in_a_block_that_has_them() -> None:
    block = b"".join(PLAIN.events(EVENTS)) + OPENAI.last
    assert fed(PLAIN, [block])["loads"] <= 3


@pytest.mark.parametrize(("name", "bytes_each"), [("plain", 0), ("with null usage", 0), ("Gemini", 160)])
def test_a_translator_keeps_nothing_but_the_text_that_citations_point_into(name: str, bytes_each: int) -> None:
    kind = KINDS[name]
    translator, events = kind.begun(), kind.events(10 * EVENTS)

    def feed() -> None:
        for event in events:
            for _ in translator.feed(event):
                pass

    assert kept(feed) < 4096 + bytes_each * len(events)
