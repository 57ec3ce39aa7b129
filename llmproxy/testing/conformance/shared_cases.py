"""Replies that clients of Messages, Responses and Gemini must receive unchanged, as data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from ..connection import Behaviour
from ..provider import JSON_TYPE, SSE_TYPE, cut_at
from ..samples import as_bytes, chunk, sse
from .client_apis import ClientApi, Reply
from .harness import Harness, clean, expect
from .provider_apis import ProviderApi
from .scripted_reply import Call, Json, Part, ScriptedReply, Text, Thought
from .streams import CALLED, LOOK, ROLE, WAIT, called, tools

HELLO = Text("Hello, Grüße 世界 🌍")
HM = Thought("Hm, let me see.")
LOOK_AT = Call("call_a", "look", LOOK)
WAIT_FOR = Call("call_b", "wait", WAIT)
BIG = "x" * 2_000_000
ODD = "a\u2028b\u2029c\u0085d\x0be"
PDF = "JVBERi0xLjQKJUVPRg=="
NOBODY = "no-such-model-anywhere"
TWO_CALLS = [LOOK_AT, WAIT_FOR]
STATE = ("signature", "encrypted_content", "data", "thoughtSignature")
_FORGIVEN = ("missing", "no event: line")


@dataclass(frozen=True, slots=True)
class Case:
    """A reply of the provider, which the client must receive unchanged.

    stop: the expected finish_reason, if not the reply's. whole: not streamed. ask: members of the client's request.
    chat: the bytes of a chat stream that only a provider of chat completions can send.
    """

    name: str
    reply: ScriptedReply
    stop: str = ""
    whole: bool = False
    ask: dict[str, Any] = field(default_factory=dict)
    cuts: bool = False  # the provider sends single bytes
    chat: bytes = b""

    def run(self, api: ClientApi) -> Callable[[Harness], Awaitable[str]]:
        async def run(harness: Harness) -> str:
            harness.answers_in_api(self._answers)
            reply = await api.ask(harness, stream=not self.whole, **self.ask)
            wanted = [_part(part) for part in self.reply.parts]
            expect(reply.view.parts == wanted, f"received {reply.view.parts}")
            stop = self.stop or self.reply.reason
            expect(reply.view.stop == stop, f"ends with {reply.view.stop!r}, should be {stop!r}")
            in_order(reply)
            return "as it should be"

        return run

    def _answers(self, api: ProviderApi, stream: bool) -> Behaviour:
        if not stream:
            return Behaviour([as_bytes(api.answer(self.reply))], headers=JSON_TYPE, framing="length")
        body = self.chat if self.chat and api.name == "chat" else api.stream(self.reply)
        pieces = cut_at(body, range(len(body))) if self.cuts else [body]
        return Behaviour(pieces, headers=SSE_TYPE)


def _part(part: Part) -> tuple[Any, ...]:
    if isinstance(part, Call):
        return ("call", part.name, orjson.loads(part.arguments or "{}"))
    return ("thinking" if isinstance(part, Thought) else "text", part.text)


def in_order(reply: Reply) -> None:
    """As `clean`, but accepts missing members and event names that clients do not need: the first checks report them once."""
    forgiven = _FORGIVEN if reply.api.names_optional else _FORGIVEN[:1]
    clean([one for one in reply.violations() if one.what not in forgiven])


async def answered(api: ClientApi, harness: Harness, **members: Any) -> tuple[Reply, Json]:
    """Asks a provider that answers HELLO: the reply, and the request that the provider received. Raises Failed."""
    harness.replies_with(ScriptedReply([HELLO]))
    reply = await api.ask(harness, **members)
    expect(reply.view.text == HELLO.text, f"text {reply.view.text!r}")
    return reply, received(harness)


def received(harness: Harness) -> Json:
    """The last request that the provider received. Raises Failed if there is none in an API that it has."""
    expect(harness.received, "the provider was not asked in an API that it has")
    request: Json = harness.received[-1].json
    return request


def _interleaved() -> bytes:
    """The pieces of two calls, alternating."""
    first, second = (
        [{"index": index, "function": {"arguments": piece}} for piece in (text[:6], text[6:])]
        for index, text in enumerate((LOOK, WAIT))
    )
    begin = [called("call_a", "look", "", 0), called("call_b", "wait", "", 1)]
    by_turns = [piece for pair in zip(first, second, strict=True) for piece in pair]
    return sse(ROLE, *(tools(one) for one in (*begin, *by_turns)), CALLED)


CASES = [
    Case("a whole answer", ScriptedReply([HELLO]), whole=True),
    Case("the provider sends single bytes", ScriptedReply([HM, HELLO]), cuts=True),
    Case("an event of 2 MB", ScriptedReply([Text(BIG)])),
    Case("line separators of Unicode inside JSON", ScriptedReply([Text(ODD)])),
    Case("nothing said is an answer", ScriptedReply([])),
    Case("reasoning, then text", ScriptedReply([HM, HELLO])),
    Case("reasoning and text of a whole answer", ScriptedReply([HM, HELLO]), whole=True),
    Case("a call, arguments in pieces", ScriptedReply([LOOK_AT])),
    Case("text, then two calls", ScriptedReply([HELLO, *TWO_CALLS])),
    Case("reasoning, text and two calls", ScriptedReply([HM, HELLO, *TWO_CALLS])),
    Case("calls of a whole answer", ScriptedReply([HELLO, *TWO_CALLS]), whole=True),
    Case("two calls whose pieces come by turns", ScriptedReply(TWO_CALLS), chat=_interleaved()),
    Case(
        "two calls without an index",
        ScriptedReply(TWO_CALLS),
        chat=sse(ROLE, tools(called("call_a", "look", LOOK)), tools(called("call_b", "wait", WAIT)), CALLED),
    ),
    Case("a call without arguments", ScriptedReply([Call("call_a", "look", "")])),
    Case(
        "finish_reason stop after a call",
        ScriptedReply([LOOK_AT]),
        chat=sse(ROLE, tools(called("call_a", "look", LOOK, 0)), chunk({}, finish="stop")),
    ),
    Case("the limit of tokens", ScriptedReply([HELLO], finish="length")),
    Case("the limit of tokens of a whole answer", ScriptedReply([HELLO], finish="length"), whole=True),
    Case("a content filter", ScriptedReply([HELLO], finish="content_filter")),
    Case(
        "no role, and no [DONE]",
        ScriptedReply([HELLO]),
        chat=sse(chunk({"content": HELLO.text}), chunk({}, finish="stop"), done=False),
    ),
    Case(
        "a finish that comes twice",
        ScriptedReply([HELLO]),
        chat=sse(ROLE, chunk({"content": HELLO.text}), *[chunk({}, finish="stop")] * 2),
    ),
]
