"""Four providers behind one address, whose model follows a plan: the conversation alone says which turn is next.

/openai/v1/...      chat completions and Responses
/anthropic/...      Messages
/gemini/v1beta/...  Gemini's API
/llamacpp/v1/...    chat completions, Messages and Responses
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import orjson

from llmproxy.testing import Behaviour, Exchange

from . import chat, gemini, messages, responses
from .turn import JSON, SSE, Heard, Json, Turn

TITLE = Turn(text='{"title": "Work", "isNewTopic": false}')  # what an agent asks beside its work


@dataclass(frozen=True, slots=True)
class Wire:
    """How a path speaks. say: the turn of this number, whole or as a stream."""

    hear: Callable[[Exchange], Heard]
    say: Callable[[Turn, int, bool], Behaviour]
    begin: Callable[[str], list[bytes]]
    fail: Callable[[int, str], Json]


def wire_of(exchange: Exchange) -> Wire:
    """Raises KeyError for a path that no provider has."""
    path = exchange.path.partition("?")[0]
    provider = path.split("/")[1]
    ending = "gemini" if provider == "gemini" else path.rpartition("/")[2]
    return _WIRES[ending](provider)


def _chat(provider: str) -> Wire:
    def say(turn: Turn, number: int, streamed: bool) -> Behaviour:
        return chat.say(turn, number, thinks=provider == "llamacpp", streamed=streamed)

    return Wire(lambda exchange: chat.hear(exchange.json), say, chat.begin, chat.fail)


def _messages(provider: str) -> Wire:
    say = partial(_sealed, messages.say, provider)
    return Wire(lambda exchange: messages.hear(exchange.json), say, messages.begin, messages.fail)


def _responses(provider: str) -> Wire:
    say = partial(_sealed, responses.say, provider)
    return Wire(lambda exchange: responses.hear(exchange.json), say, responses.begin, responses.fail)


def _gemini(provider: str) -> Wire:
    say = partial(_sealed, gemini.say, provider)
    return Wire(lambda exchange: gemini.hear(exchange.json, exchange.path), say, gemini.begin, gemini.fail)


def _sealed(say: Callable[..., Behaviour], provider: str, turn: Turn, number: int, streamed: bool) -> Behaviour:
    return say(turn, number, provider=provider, streamed=streamed)


_WIRES = {"completions": _chat, "messages": _messages, "responses": _responses, "gemini": _gemini}

_COUNTS = re.compile(r"count_tokens|:countTokens")

Incident = Callable[[Wire], Behaviour]


def refusal(status: int, message: str, **headers: str) -> Incident:
    """An error in the provider's form. headers: names with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def happen(wire: Wire) -> Behaviour:
        body = orjson.dumps(wire.fail(status, message))
        return Behaviour([body], status, {**JSON, **named}, framing="length")

    return happen


def broken_off(wire: Wire) -> Behaviour:
    return Behaviour(wire.begin("Half of"), headers=SSE, framing="close", ending="fin")


def never_ending(wire: Wire) -> Behaviour:
    return Behaviour(wire.begin("Beginning"), headers=SSE, ending="hang")


@dataclass(slots=True)
class Model:
    """What the model does: the turns of its plan, unless something happens first.

    tool: what a request offers that belongs to the work; others, as for a title, get a short answer.
    always: happens to every request of the work, once the incidents are over.
    """

    tool: str
    plan: Sequence[Turn]
    incidents: deque[Incident] = field(default_factory=deque)
    always: Incident | None = None
    heard: list[Heard] = field(default_factory=list)  # of the work, without incidents
    exchanges: list[Exchange] = field(default_factory=list)  # of the work

    def route(self, exchange: Exchange) -> Behaviour | None:
        if exchange.method != "POST":
            return None
        if _COUNTS.search(exchange.path):
            return Behaviour([b'{"totalTokens": 900, "input_tokens": 900}'], headers=JSON, framing="length")
        try:
            wire = wire_of(exchange)
        except KeyError:
            return Behaviour([b"{}"], 404, JSON, framing="length")
        heard = wire.hear(exchange)
        if self.tool not in heard.tools:
            return wire.say(TITLE, 0, heard.streamed)
        self.exchanges.append(exchange)
        incident = self.incidents.popleft() if self.incidents else self.always
        if incident is not None:
            return incident(wire)
        self.heard.append(heard)
        number = min(heard.turns, len(self.plan) - 1)
        return wire.say(self.plan[number], number, heard.streamed)
