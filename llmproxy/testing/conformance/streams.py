"""Checks that the client receives a complete stream, however unusual the provider's stream is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from ..answer import Answer
from ..provider import cut_at
from ..samples import chunk, sse
from ..validate import check_framing, check_stream
from .harness import Check, Failed, Harness, Run, clean, expect, in_order

USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 5,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
ROLE = chunk({"role": "assistant", "content": ""})
HELLO = chunk({"content": "Hello, "})
WORLD = chunk({"content": "Grüße 世界 🌍"})
STOP = chunk({}, finish="stop")
COUNT = chunk(usage=USAGE)
TEXT = "Hello, Grüße 世界 🌍"
PLAIN = sse(ROLE, HELLO, WORLD, STOP)
ODD = "a\u2028b\u2029c\u0085d\x0be"


@dataclass(frozen=True, slots=True)
class Case:
    """The bytes of the provider's stream, and what the client must receive."""

    group: str
    name: str
    upstream: bytes
    text: str = TEXT
    finish: str = "stop"
    tools: Sequence[tuple[str, Any]] = ()
    reasoning: str = ""
    ask: dict[str, Any] = field(default_factory=dict)
    cuts: bool = False  # sent in single bytes
    framed: bool = False  # OpenAI's Python SDK cannot read the provider's framing, so the client must get OpenAI's

    def run(self) -> Run:
        async def run(harness: Harness) -> str:
            pieces = cut_at(self.upstream, range(len(self.upstream))) if self.cuts else [self.upstream]
            harness.streams(self.upstream, pieces=pieces)
            seen = await harness.stream(**self.ask)
            expect(seen.status == 200, f"status {seen.status}: {seen.body[:100]!r}")
            expect(seen.is_stream, f"not streamed: {seen.content_type}")
            self._compare(seen.answer)
            clean(check_framing(seen.body) if self.framed else [])
            asked = bool(self.ask.get("stream_options"))
            in_order(check_stream(seen.events, include_usage=asked, usage=b'"prompt_tokens"' in self.upstream))
            return "as it should be"

        return run

    def _compare(self, answer: Answer) -> None:
        choice = answer.first
        expect(answer.error is None, f"an error: {answer.error}")
        expect(choice.text == self.text, f"text {choice.text[:60]!r}")
        expect(choice.finish == self.finish, f"finish_reason {choice.finish!r}")
        reasoning = choice.reasoning or choice.extras.get("reasoning", "")
        expect(reasoning == self.reasoning, f"reasoning {reasoning!r}")
        got = [(call.name, parsed(call.arguments)) for call in choice.tool_calls]
        expect(got == list(self.tools), f"tool calls {got}")


def parsed(arguments: str) -> Any:
    try:
        return orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError as error:
        raise Failed(f"arguments are not JSON: {arguments!r}") from error


def called(id: str | None, name: str, arguments: Any, index: int | None = None) -> dict[str, Any]:
    call = {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return {key: value for key, value in call.items() if value is not None}


def tools(*calls: dict[str, Any]) -> dict[str, Any]:
    return chunk({"tool_calls": list(calls)})


CALLS = [("look", {"at": "sea"}), ("wait", {"for": "light"})]
LOOK, WAIT = '{"at":"sea"}', '{"for":"light"}'
CALLED = chunk({}, finish="tool_calls")
ASK_USAGE = {"stream_options": {"include_usage": True}}
BIG = "x" * 2_000_000
TWICE = [chunk({"role": "assistant", "content": ""}, index=i) for i in (0, 1)]

CASES = [
    Case("framing", "a plain stream", PLAIN),
    Case("framing", "the provider sends single bytes", PLAIN, cuts=True),
    Case("framing", "CRLF line ends", PLAIN.replace(b"\n", b"\r\n")),
    Case("framing", "CR line ends", PLAIN.replace(b"\n", b"\r")),
    Case("framing", "comments between the events", b": hello\n\n" + PLAIN.replace(b"\n\n", b"\n\n: ping\n\n")),
    Case("framing", "data: without a space", PLAIN.replace(b"data: ", b"data:")),
    Case("framing", "event: and id: lines", PLAIN.replace(b"data:", b"event: message\nid: 1\ndata:")),
    Case("framing", "a retry: line by itself", b"retry: 3000\n\n" + PLAIN, framed=True),
    Case("framing", "data over several lines", PLAIN.replace(b'"choices":', b'\ndata: "choices":')),
    Case("framing", "a byte order mark", b"\xef\xbb\xbf" + PLAIN),
    Case("framing", "no [DONE] after the finish", sse(ROLE, HELLO, WORLD, STOP, done=False)),
    Case("framing", "no blank line after the last event", sse(ROLE, HELLO, WORLD, STOP, done=False)[:-2]),
    Case("framing", "an event of 2 MB", sse(ROLE, chunk({"content": BIG}), STOP), text=BIG),
    Case("framing", "line separators of Unicode inside JSON", sse(ROLE, chunk({"content": ODD}), STOP), text=ODD),
    Case(
        "order",
        "a role in every delta",
        sse(*(chunk({"role": "assistant", "content": text}) for text in ("Hello, ", "Grüße 世界 🌍", "")), STOP),
    ),
    Case("order", "no role at all", sse(HELLO, WORLD, STOP)),
    Case("order", "a finish that comes twice", sse(ROLE, HELLO, WORLD, STOP, chunk({"content": ""}, finish="stop"))),
    Case("order", "text after a first finish", sse(ROLE, HELLO, STOP, WORLD, STOP)),
    Case("order", "no finish, but [DONE]", sse(ROLE, HELLO, WORLD)),
    Case(
        "order",
        "id, created and model that change",
        sse(ROLE, {**HELLO, "id": "b", "created": 1, "model": "c"}, {**WORLD, "id": "d"}, STOP),
    ),
    Case(
        "order", "an opening chunk without choices", sse({**chunk(), "id": "", "model": ""}, ROLE, HELLO, WORLD, STOP)
    ),
    Case("usage", "asked for: once, by itself, at the end", sse(ROLE, HELLO, WORLD, STOP, COUNT), ask=ASK_USAGE),
    Case("usage", "not asked for: not told", sse(ROLE, HELLO, WORLD, STOP, COUNT)),
    Case(
        "usage",
        "on every chunk",
        sse(*({**one, "usage": USAGE} for one in (ROLE, HELLO, WORLD, STOP))),
        ask=ASK_USAGE,
    ),
    Case(
        "usage",
        "on a second finish",
        sse(ROLE, HELLO, WORLD, STOP, chunk({"content": ""}, finish="stop", usage=USAGE)),
        ask=ASK_USAGE,
    ),
    Case(
        "tools",
        "two calls, arguments in pieces",
        sse(
            ROLE,
            tools(called("a", "look", "", 0)),
            tools({"index": 0, "function": {"arguments": '{"at":'}}),
            tools({"index": 0, "function": {"arguments": '"sea"}'}}),
            tools(called("b", "wait", WAIT, 1)),
            CALLED,
        ),
        text="",
        tools=CALLS,
        finish="tool_calls",
    ),
    Case(
        "tools",
        "calls without an index",
        sse(ROLE, tools(called("a", "look", LOOK)), tools(called("b", "wait", WAIT)), CALLED),
        text="",
        tools=CALLS,
        finish="tool_calls",
    ),
    Case(
        "tools",
        "two calls that both have index 0",
        sse(ROLE, tools(called("a", "look", LOOK, 0)), tools(called("b", "wait", WAIT, 0)), CALLED),
        text="",
        tools=CALLS,
        finish="tool_calls",
    ),
    Case(
        "tools",
        "finish_reason stop after a call",
        sse(ROLE, tools(called("a", "look", LOOK, 0)), STOP),
        text="",
        tools=CALLS[:1],
        finish="tool_calls",
    ),
    Case(
        "tools",
        "no id, and arguments as an object",
        sse(ROLE, tools(called(None, "look", {"at": "sea"}, 0)), CALLED),
        text="",
        tools=CALLS[:1],
        finish="tool_calls",
    ),
    Case(
        "content",
        "reasoning_content",
        sse(ROLE, chunk({"reasoning_content": "Hm, "}), chunk({"reasoning_content": "so."}), HELLO, WORLD, STOP),
        reasoning="Hm, so.",
    ),
    Case("content", "reasoning", sse(ROLE, chunk({"reasoning": "Hm, so."}), HELLO, WORLD, STOP), reasoning="Hm, so."),
]


async def two_choices(harness: Harness) -> str:
    ends = [chunk({}, finish="stop", index=i) for i in (0, 1)]
    harness.streams(sse(*TWICE, chunk({"content": "zero"}), chunk({"content": "one"}, index=1), *ends))
    seen = await harness.stream(n=2)
    texts = [seen.answer.choice(i).text for i in (0, 1)]
    expect(texts == ["zero", "one"], f"texts {texts}")
    in_order(check_stream(seen.events, choices=2))
    return "both, apart"


async def content_type(harness: Harness) -> str:
    harness.streams(PLAIN)
    seen = await harness.stream()
    expect(seen.content_type.startswith("text/event-stream"), seen.content_type)
    clean(check_framing(seen.body))
    return seen.content_type


async def members(harness: Harness) -> str:
    harness.streams(PLAIN)
    clean(check_stream((await harness.stream()).events))
    return "all there"


async def not_held_back(harness: Harness) -> str:
    """The provider sends some text and then nothing: the client must receive that text at once."""
    harness.streams(b"", pieces=[sse(ROLE, HELLO, done=False)], ending="hang")
    await harness.reads_until(b"Hello, ")
    return "each event at once"


async def usage_details(harness: Harness) -> str:
    harness.streams(sse(ROLE, HELLO, WORLD, STOP, COUNT))
    usage = (await harness.stream(**ASK_USAGE)).answer.usage or {}
    wrong = {key: usage.get(key) for key, value in USAGE.items() if not _holds(usage.get(key), value)}
    expect(not wrong, f"usage differs: {wrong}")
    return "the provider's own numbers"


def _holds(got: Any, expected: Any) -> bool:
    if isinstance(expected, dict):
        return isinstance(got, dict) and all(_holds(got.get(key), value) for key, value in expected.items())
    return bool(got == expected)


CHECKS = [
    Check("shape", "every required member of a chunk, null ones too", members),
    Check("framing", "content type and separators", content_type),
    Check("framing", "nothing is held back", not_held_back),
    *(Check(case.group, case.name, case.run()) for case in CASES),
    Check("order", "two choices, interleaved", two_choices),
    Check("usage", "details are kept", usage_details),
]
