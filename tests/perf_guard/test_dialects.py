"""What the way of one event may cost in the dialects beside chat, passed on or translated: calls, against those of chat."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from llmproxy.adapters.anthropic import Anthropic
from llmproxy.adapters.compatible import Compatible
from llmproxy.adapters.gemini import Gemini

from llmproxy.core.adapter import Account, Translator
from llmproxy.core.chat import Chat, Face
from llmproxy.core.errors import UpstreamError
from llmproxy.dialects import find
from tests.bench.frames import GEMINI, OPENAI
from tests.dialects.requests import (
    GEMINI_REQUEST,
    MESSAGES_REQUEST,
    RESPONSES_REQUEST,
    gemini_chat,
    messages_chat,
    responses_chat,
)

from .counting import calls
from .test_events import PLAIN, fed

EVENTS = 200
CHAT = fed(PLAIN, PLAIN.events(EVENTS)).total() / EVENTS  # a plain event of chat that is passed on
AS_MUCH = 1.3
TRANSLATED = 7.5  # 3.2 to 6.9 times; 9.5 to 17 when every chunk went through all steps


def message_events() -> Iterator[bytes]:
    yield b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","usage":{"input_tokens":1}}}\n\n'
    block = b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}'
    yield b"event: content_block_start\ndata: " + block + b"\n\n"
    delta = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"w%d"}%b}'
    number = 0
    while True:
        number += 1
        yield b"event: content_block_delta\ndata: " + delta % (number, b" " * (number % 7)) + b"\n\n"


def response_events() -> Iterator[bytes]:
    yield b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{"id":"r","output":[]}}\n\n'
    delta = (
        b'{"type":"response.output_text.delta","sequence_number":%d,"item_id":"msg_1","output_index":0,'
        b'"delta":"w%d","obfuscation":"%b"}'
    )
    number = 0
    while True:
        number += 1
        yield b"event: response.output_text.delta\ndata: " + delta % (number, number, b"x" * (number % 7)) + b"\n\n"


def gemini_events() -> Iterator[bytes]:
    event = (
        b'data: {"candidates": [{"content": {"parts": [{"text": "w%d"}],"role": "model"},"index": 0}],'
        b'"usageMetadata": {"promptTokenCount": 4,"candidatesTokenCount": %d,"totalTokenCount": %d},"modelVersion": "m"}'
    )
    number = 0
    while True:
        number += 1
        yield event % (number, number, number + 4) + b"\r\n\r\n"


PASSED: dict[Face, Callable[[], Iterator[bytes]]] = {
    "messages": message_events,
    "responses": response_events,
    "gemini": gemini_events,
}
ENCODED: dict[str, Chat] = {
    "messages": messages_chat(MESSAGES_REQUEST),
    "responses": responses_chat(RESPONSES_REQUEST),
    "gemini": gemini_chat(GEMINI_REQUEST),
}


def watched(face: Face) -> Translator:
    dialect = find(face)
    assert dialect is not None
    chat = Chat({"model": "m", "stream": True}, "m", face, dialect=dialect, streaming=True)
    return dialect.watch(chat, lambda event: UpstreamError(str(event)))


def each(translator: Translator, events: Sequence[bytes], count: int) -> float:
    """Calls for each of `count` events, which come in these pieces."""
    return calls(lambda: [list(translator.feed(piece)) for piece in events]).total() / count


def taken(events: Iterator[bytes], count: int) -> list[bytes]:
    return [next(events) for _ in range(count)]


def passed(face: Face, together: int) -> float:
    translator, events = watched(face), PASSED[face]()
    for event in taken(events, 6):
        list(translator.feed(event))
    pieces = [b"".join(taken(events, together)) for _ in range(EVENTS // together)]
    return each(translator, pieces, EVENTS)


@pytest.mark.parametrize("face", PASSED)
def test_an_event_that_is_passed_on_costs_as_much_as_one_of_chat(face: Face) -> None:
    assert passed(face, 1) <= AS_MUCH * CHAT


@pytest.mark.parametrize("face", PASSED)
def test_events_that_come_together_cost_less(face: Face) -> None:
    assert passed(face, 10) <= AS_MUCH * CHAT / 5


def chat_events() -> Iterator[bytes]:
    yield OPENAI.first
    for number in range(10 * EVENTS):
        yield OPENAI.event(b"%019d" % number)


def google_events() -> Iterator[bytes]:
    for number in range(10 * EVENTS):
        yield GEMINI.event(b"%019d" % number)


def thought_events() -> Iterator[bytes]:
    yield b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","usage":{"input_tokens":1}}}\n\n'
    block = b'{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}'
    yield b"event: content_block_start\ndata: " + block + b"\n\n"
    delta = b'{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"w%d"}}'
    for number in range(10 * EVENTS):
        yield b"event: content_block_delta\ndata: " + delta % number + b"\n\n"


def argument_events() -> Iterator[bytes]:
    yield b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","usage":{"input_tokens":1}}}\n\n'
    block = (
        b'{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}'
    )
    yield b"event: content_block_start\ndata: " + block + b"\n\n"
    delta = b'{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"%b"}}'
    yield b"event: content_block_delta\ndata: " + delta % b'{\\"a\\":\\"' + b"\n\n"
    for number in range(10 * EVENTS):
        yield b"event: content_block_delta\ndata: " + delta % (b"w%d" % number) + b"\n\n"


UP = Account("up", base_url="http://up", api_key="k")
PROVIDERS: dict[str, tuple[Any, Callable[[], Iterator[bytes]]]] = {
    "chat": (Compatible(UP), chat_events),
    "Gemini": (Gemini(UP), google_events),
    "Anthropic": (Anthropic(UP), message_events),
    "Anthropic's thoughts": (Anthropic(UP), thought_events),
    "Anthropic's arguments": (Anthropic(UP), argument_events),
}
PAIRS = [(one, face) for one in PROVIDERS for face in (*ENCODED, "chat") if one != face]


@pytest.mark.parametrize(("provider", "face"), PAIRS)
def test_a_translated_event_costs_at_most_so_many_times_a_passed_one(provider: str, face: str) -> None:
    adapter, said = PROVIDERS[provider]
    chat = ENCODED[face] if face in ENCODED else Chat({"model": "m", "messages": [], "stream": True}, "m")
    translator, events = adapter.translator(chat), taken(said(), EVENTS + 6)
    for event in events[:6]:
        list(translator.feed(event))
    assert each(translator, events[6:], EVENTS) <= TRANSLATED * CHAT
