"""What the model upstream does in a conversation: it asks for the weather of every city it is asked about, then reports.

    "Weather in Paris, Rome"  ->  calls get_weather(city="Paris") and get_weather(city="Rome")
    their results             ->  says them, joined
    a question for JSON       ->  says FORECAST
    anything else             ->  says GREETING

It keeps no state: what it must have said before is worked out from the conversation that the client sends back, and a
client (or gateway) that lost a call, a result or a signature is refused.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

GREETING = "Grüße aus Žilina — good day."
BEGINNING = "Once upon a time "  # of an answer that never ends
THOUGHT = "They only want to be greeted."
FORECAST = {"city": "Paris", "degrees": 21}
TOOL = "get_weather"
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SHOWN = " Weather in Bergen"  # what an upstream sees in the picture
_QUESTION = re.compile(r"Weather in ([A-Z]\w+(?:, [A-Z]\w+)*)")

Cities = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Say:
    """The turn is text."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """The turn is one tool call for each city, in this order."""

    cities: Cities


def turn(question: str, results: Sequence[str], *, as_json: bool) -> Say | Call:
    """The next turn after the last question and the results that came since."""
    if as_json:
        return Say(orjson.dumps(FORECAST).decode())
    asked = _QUESTION.search(question)
    if asked is None:
        return Say(GREETING)
    return Say("; ".join(results)) if results else Call(tuple(asked[1].split(", ")))


def weather(city: str) -> str:
    """The tool, as every client implements it."""
    return f"{city}: 21 degrees"


def call_id(city: str) -> str:
    return f"call_{city.lower()}"


def signature(cities: Cities) -> str:
    """The thought signature that Gemini puts on the first call of a turn: opaque, base64."""
    return b64encode(f"thought of {' and '.join(cities)}".encode()).decode()


def pieces(text: str) -> list[str]:
    """The text as a stream brings it, cut inside its words."""
    return [text[at : at + 5] for at in range(0, len(text), 5)]
