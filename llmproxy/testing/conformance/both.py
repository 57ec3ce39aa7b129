"""Checks that hold for Messages, Responses and Gemini alike: what is said, what is asked, and what fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from ..connection import Behaviour
from ..event_order import Violation
from ..provider import JSON_TYPE, SSE_TYPE, cut_at
from ..samples import as_bytes, chunk, sse
from .faces import PICTURE, Face, Reply
from .said import Call, Count, Json, Part, Said, Text, Thought
from .stage import Check, Stage, clean, expect, taken
from .streams import CALLED, LOOK, ROLE, WAIT, called, tools
from .voices import Voice

HELLO = Text("Hello, Grüße 世界 🌍")
HM = Thought("Hm, let me see.")
LOOK_AT = Call("call_a", "look", LOOK)
WAIT_FOR = Call("call_b", "wait", WAIT)
BIG = "x" * 2_000_000
ODD = "a\u2028b\u2029c\u0085d\x0be"
PDF = "JVBERi0xLjQKJUVPRg=="
NOBODY = "no-such-model-anywhere"
TWO_CALLS = [LOOK_AT, WAIT_FOR]
_STATE = ("signature", "encrypted_content", "data", "thoughtSignature")
_FORGIVEN = ("missing", "no event: line")


@dataclass(frozen=True, slots=True)
class Case:
    """What the provider says, and what a client must hear, streamed and whole.

    chat: the bytes of a stream in OpenAI's chat form, where only that form can be as odd.
    """

    name: str
    said: Said
    stop: str = ""
    whole: bool = False
    ask: dict[str, Any] = field(default_factory=dict)
    cuts: bool = False  # the provider sends single bytes
    chat: bytes = b""

    def run(self, face: Face) -> Callable[[Stage], Awaitable[str]]:
        async def run(stage: Stage) -> str:
            stage.speaks(self._answers)
            reply = await face.ask(stage, stream=not self.whole, **self.ask)
            wanted = [_part(part) for part in self.said.parts]
            expect(reply.heard.parts == wanted, f"heard {reply.heard.parts}")
            stop = self.stop or self.said.reason
            expect(reply.heard.stop == stop, f"ends with {reply.heard.stop!r}, should be {stop!r}")
            in_order(reply)
            return "as it should be"

        return run

    def _answers(self, voice: Voice, stream: bool) -> Behaviour:
        if not stream:
            return Behaviour([as_bytes(voice.answer(self.said))], headers=JSON_TYPE, framing="length")
        body = self.chat if self.chat and voice.name == "chat" else voice.stream(self.said)
        pieces = cut_at(body, range(len(body))) if self.cuts else [body]
        return Behaviour(pieces, headers=SSE_TYPE)


def _part(part: Part) -> tuple[Any, ...]:
    if isinstance(part, Call):
        return ("call", part.name, orjson.loads(part.arguments or "{}"))
    return ("thinking" if isinstance(part, Thought) else "text", part.text)


def in_order(reply: Reply) -> None:
    """As `clean`, but forgives members and names that clients can do without: the first checks count them, once."""
    forgiven = _FORGIVEN if reply.face.names_optional else _FORGIVEN[:1]
    clean([one for one in reply.violations() if one.what not in forgiven])


def _interleaved() -> bytes:
    """The pieces of two calls, by turns."""
    first, second = (
        [{"index": index, "function": {"arguments": piece}} for piece in (text[:6], text[6:])]
        for index, text in enumerate((LOOK, WAIT))
    )
    begin = [called("call_a", "look", "", 0), called("call_b", "wait", "", 1)]
    by_turns = [piece for pair in zip(first, second, strict=True) for piece in pair]
    return sse(ROLE, *(tools(one) for one in (*begin, *by_turns)), CALLED)


CASES = [
    Case("a whole answer", Said([HELLO]), whole=True),
    Case("the provider sends single bytes", Said([HM, HELLO]), cuts=True),
    Case("an event of 2 MB", Said([Text(BIG)])),
    Case("line separators of Unicode inside JSON", Said([Text(ODD)])),
    Case("nothing said is an answer", Said([])),
    Case("reasoning, then text", Said([HM, HELLO])),
    Case("reasoning and text of a whole answer", Said([HM, HELLO]), whole=True),
    Case("a call, arguments in pieces", Said([LOOK_AT])),
    Case("text, then two calls", Said([HELLO, *TWO_CALLS])),
    Case("reasoning, text and two calls", Said([HM, HELLO, *TWO_CALLS])),
    Case("calls of a whole answer", Said([HELLO, *TWO_CALLS]), whole=True),
    Case("two calls whose pieces come by turns", Said(TWO_CALLS), chat=_interleaved()),
    Case(
        "two calls without an index",
        Said(TWO_CALLS),
        chat=sse(ROLE, tools(called("call_a", "look", LOOK)), tools(called("call_b", "wait", WAIT)), CALLED),
    ),
    Case("a call without arguments", Said([Call("call_a", "look", "")])),
    Case(
        "finish_reason stop after a call",
        Said([LOOK_AT]),
        chat=sse(ROLE, tools(called("call_a", "look", LOOK, 0)), chunk({}, finish="stop")),
    ),
    Case("the limit of tokens", Said([HELLO], finish="length")),
    Case("the limit of tokens of a whole answer", Said([HELLO], finish="length"), whole=True),
    Case("a content filter", Said([HELLO], finish="content_filter")),
    Case(
        "no role, and no [DONE]",
        Said([HELLO]),
        chat=sse(chunk({"content": HELLO.text}), chunk({}, finish="stop"), done=False),
    ),
    Case(
        "a finish that comes twice",
        Said([HELLO]),
        chat=sse(ROLE, chunk({"content": HELLO.text}), *[chunk({}, finish="stop")] * 2),
    ),
]


# What is said


async def streamed(face: Face, stage: Stage) -> str:
    stage.says(Said([HM, HELLO]))
    clean((await face.ask(stage)).violations())
    return "every event and member"


async def whole(face: Face, stage: Stage) -> str:
    stage.says(Said([HM, HELLO]))
    clean((await face.ask(stage, stream=False)).violations())
    return "every member"


async def not_held_back(face: Face, stage: Stage) -> str:
    """The provider says something and falls silent: the client must have it nevertheless."""
    said = Said([HELLO])

    def begins(voice: Voice, stream: bool) -> Behaviour:
        del stream
        return Behaviour([voice.begins(said, HELLO.text[:8])], headers=SSE_TYPE, ending="hang")

    stage.speaks(begins)
    await stage.hears(b"Hello, ", path=face.path, **face.hello)
    return "each event at once"


async def counted(face: Face, stage: Stage) -> str:
    return await _counted(face, stage, stream=True)


async def counted_whole(face: Face, stage: Stage) -> str:
    return await _counted(face, stage, stream=False)


async def _counted(face: Face, stage: Stage, *, stream: bool) -> str:
    count = Count(2000, 800, 90, 40)
    stage.says(Said([HELLO], count=count))
    usage = (await face.ask(stage, stream=stream)).heard.usage
    wanted = {"prompt": count.prompt, "cached": count.cached, "completion": count.completion}
    expect(usage == wanted, f"{usage}, the provider said {wanted}")
    return "the provider's own numbers"


async def uncounted(face: Face, stage: Stage) -> str:
    stage.says(Said([HELLO], count=None))
    reply = await face.ask(stage)
    numbers = [reply.heard.usage.get(name) for name in ("prompt", "completion")]
    counted = all(isinstance(one, int) for one in numbers)
    expect(counted or face.usage_optional, f"usage {reply.heard.usage}: clients stop at it")
    in_order(reply)
    return "numbers all the same"


async def sources(face: Face, stage: Stage) -> str:
    stage.says(Said([Text("Hello", sources=[("A", "https://a.example/1")])]))
    reply = await face.ask(stage)
    expect(reply.heard.sources == ["https://a.example/1"], f"sources {reply.heard.sources}")
    in_order(reply)
    return "kept"


async def call_ids(face: Face, stage: Stage) -> str:
    """What a client answers to must be found again by the provider."""
    stage.says(Said(TWO_CALLS))
    heard = (await face.ask(stage, **face.says.tools("look", "wait"))).heard
    content, ids = heard.content, heard.ids
    expect(len(ids) == 2 and len(set(ids)) == 2 and all(ids), f"ids {ids}")
    stage.asked.clear()
    stage.says(Said([HELLO]))
    results = {str(id): f"result {number}" for number, id in enumerate(ids)}
    await face.ask(stage, **face.says.tools("look", "wait"), **face.says.turn(content, results))
    sent = _sent(stage)
    missing = [name for name in ("result 0", "result 1", "sea", "light") if name not in sent]
    expect(not missing, f"not sent on: {missing}")
    for call, result in zip(TWO_CALLS, results.values(), strict=True):
        expect(sent.count(call.id) >= 2, f"the provider's id {call.id!r} does not lead to {result!r}")
    return "the provider's own ids"


async def reasoning_goes_round(face: Face, stage: Stage) -> str:
    """A client sends back what it was given; the provider must not get what only the gateway can read."""
    stage.says(Said([Thought("Hm, so.", state="c3RhdGU="), LOOK_AT]))
    asked: Json = {**face.says.tools("look"), **_encrypted(face)}
    content = (await face.ask(stage, **asked)).heard.content
    stage.asked.clear()
    stage.says(Said([HELLO]))
    reply = await face.ask(stage, **{**asked, **face.says.turn(content, {"call_a": "a lamp"})})
    expect(reply.heard.text == HELLO.text, f"text {reply.heard.text!r}")
    blobs = [one.get(name) for one in content for name in _STATE]
    foreign = [one for one in blobs if one and one != "c3RhdGU=" and one in _sent(stage)]
    expect(not foreign, f"sent on: {foreign}")
    return "taken back"


def _encrypted(face: Face) -> Json:
    return {"include": ["reasoning.encrypted_content"], "store": False} if face.name == "responses" else {}


# What is asked


async def _sends(face: Face, stage: Stage, wanted: list[str], **members: Any) -> str:
    stage.says(Said([HELLO]))
    await face.ask(stage, **members)
    sent = _sent(stage)
    lost = [one for one in wanted if one not in sent]
    expect(not lost, f"not sent on: {', '.join(lost)}")
    return "sent on"


def _sent(stage: Stage) -> str:
    """The provider's request as text; JSON inside of a string as it is."""
    expect(stage.heard, "the provider was not asked in an API that it has")
    return orjson.dumps(stage.heard[-1].json).decode().replace('\\"', '"')


async def system(face: Face, stage: Stage) -> str:
    return await _sends(face, stage, ["Be a lighthouse.", "Hello"], **face.says.system("Be a lighthouse."))


async def picture(face: Face, stage: Stage) -> str:
    return await _sends(face, stage, [PICTURE, "What is it?"], **face.says.picture())


async def document(face: Face, stage: Stage) -> str:
    await _sends(face, stage, [PDF], **face.says.document(PDF))
    expect("a.pdf" in _sent(stage) or _in_gemini(stage), "its name is lost")
    return "sent on"


def _in_gemini(stage: Stage) -> bool:
    """Whether the provider was asked in Gemini's API, which has names for files on Vertex only."""
    return stage.heard[-1].path.partition("?")[0].endswith("enerateContent")


async def offered_tools(face: Face, stage: Stage) -> str:
    wanted = ['"look"', '"wait"', "To look.", "a lighthouse", '"required":["at"]']
    return await _sends(face, stage, wanted, **face.says.tools("look", "wait"))


async def must_call(face: Face, stage: Stage) -> str:
    await _sends(face, stage, [], **face.says.tools("look", "wait"), **face.says.must_call("wait"))
    choice = _choice(stage)
    expect("wait" in str(choice), f"tool_choice {choice}")
    return "sent on"


def _choice(stage: Stage) -> Any:
    sent = stage.heard[-1].json
    return sent.get("tool_choice", sent.get("toolConfig"))


async def must_call_any(face: Face, stage: Stage) -> str:
    await _sends(face, stage, [], **face.says.tools("look"), **face.says.must_call(None))
    choice = _choice(stage)
    any_tool = choice in ("required", {"type": "any"}) or "'ANY'" in str(choice)
    expect(any_tool or "look" in str(choice), f"tool_choice {choice}")
    return "sent on"


async def results(face: Face, stage: Stage) -> str:
    """Each result behind its call, and what the user says behind both."""
    content = [face.says.call("call_a", "look", {"at": "sea"}), face.says.call("call_b", "wait", {"for": "light"})]
    turn = face.says.turn(content, {"call_a": "a lamp", "call_b": "a bell"})
    await _sends(face, stage, ["a lamp", "a bell", "Go on."], **face.says.tools("look", "wait"), **turn)
    sent = _sent(stage)
    places = [sent.rindex(word) for word in ("Hello", '"sea"', "a lamp", "Go on.")]
    expect(places == sorted(places), "not in their order")
    if stage.heard[-1].path.endswith("/chat/completions"):
        roles = [one["role"] for one in stage.heard[-1].json["messages"]]
        expect(roles == ["user", "assistant", "tool", "tool", "user"], f"roles {roles}")
    return "in their order"


async def picture_results(face: Face, stage: Stage) -> str:
    content = [face.says.call("call_a", "look", {"at": "sea"})]
    turn = face.says.turn(content, {"call_a": face.says.picture_result()})
    return await _sends(face, stage, [PICTURE, "a lamp"], **face.says.tools("look"), **turn)


async def limits(face: Face, stage: Stage) -> str:
    await _sends(face, stage, ["321", "0.25"], **face.says.limits(321, 0.25))
    sent = {**stage.heard[-1].json, **stage.heard[-1].json.get("generationConfig", {})}
    names = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens")
    limit, top = [sent.get(name) for name in names], sent.get("top_p", sent.get("topP"))
    expect(321 in limit and top == 0.25, f"limits {limit}, top_p {top}")
    return "sent on"


async def schema(face: Face, stage: Stage) -> str:
    await _sends(face, stage, ["a lighthouse"], **face.says.schema())
    expect("json_schema" in _sent(stage) or _in_gemini(stage), "not said to be the answer's")
    return "sent on"


async def effort(face: Face, stage: Stage) -> str:
    return await _sends(face, stage, ['"low"'], **face.says.effort("low"))


async def private(face: Face, stage: Stage) -> str:
    """The client's cookies, address and key for the gateway are not the provider's business."""
    stage.says(Said([HELLO]))
    secrets = {"Cookie": "session=ours", "X-Forwarded-For": "192.0.2.7"}
    body = stage.body(face.path, {"model": stage.model, **face.hello})
    async with stage.send("POST", stage.address(face.path), body, secrets) as response:
        await taken(response)
    expect(stage.heard, "the provider was not asked")
    values = list(stage.heard[-1].headers.values())
    told = [one for one in (*secrets.values(), stage.key) if one and any(one in value for value in values)]
    expect(not told, f"sent on: {', '.join(told)}")
    return "nothing of the client's"


# What fails


def _is_error(face: Face, reply: Reply) -> list[Violation]:
    return face.check_error(reply.seen.body, reply.seen.status)


async def bad_request(face: Face, stage: Stage) -> str:
    stage.refuses(400, "'top_p' must be small.", "invalid_value")
    reply = await face.try_to_ask(stage)
    expect(reply.seen.status == 400, f"status {reply.seen.status}")
    clean(_is_error(face, reply))
    expect(b"must be small" in reply.seen.body, f"the message is lost: {reply.seen.body[:100]!r}")
    return "status, shape and message"


async def rate_limit(face: Face, stage: Stage) -> str:
    stage.refuses(429, "Slow down.", "rate_limit_exceeded", retry_after="97")
    reply = await face.try_to_ask(stage, stream=False)
    expect(reply.seen.status == 429, f"status {reply.seen.status}")
    clean(_is_error(face, reply))
    wait = reply.seen.headers.get("retry-after")
    expect(wait == "97", f"retry-after {wait}")
    return "status, shape and Retry-After"


async def overloaded(face: Face, stage: Stage) -> str:
    stage.refuses(529 if stage.apis == ("messages",) else 503, "Overloaded.", "overloaded")
    reply = await face.try_to_ask(stage)
    expect(reply.seen.status in (503, 529), f"status {reply.seen.status}")
    clean(_is_error(face, reply))
    return f"status {reply.seen.status}"


async def web_page(face: Face, stage: Stage) -> str:
    page = b"<html><body>502 Bad Gateway</body></html>"
    stage.always(Behaviour([page], 502, {"content-type": "text/html"}, framing="length"))
    reply = await face.try_to_ask(stage)
    expect(reply.seen.status >= 500, f"status {reply.seen.status}")
    clean(_is_error(face, reply))
    expect(b"<html>" not in reply.seen.body, "the page is in the message")
    return f"status {reply.seen.status}"


async def bad_json(face: Face, stage: Stage) -> str:
    return await _refused(face, stage, b'{"model": ', (400,))


async def nothing_asked(face: Face, stage: Stage) -> str:
    stage.refuses(400, "Say something.", "missing_required_parameter")
    return await _refused(face, stage, stage.body(face.path, {"model": stage.model}), (400,))


async def unknown_model(face: Face, stage: Stage) -> str:
    stage.refuses(404, "There is no such model.", "model_not_found")
    named = {**face.hello, "model": NOBODY}
    return await _refused(face, stage, stage.body(face.path, named), (400, 404), model=NOBODY)


async def _refused(face: Face, stage: Stage, body: bytes, statuses: tuple[int, ...], model: str = "") -> str:
    async with stage.send("POST", stage.address(face.path, model=model), body) as response:
        reply = Reply(face, await taken(response))
    expect(reply.seen.status in statuses, f"status {reply.seen.status}: {reply.seen.body[:80]!r}")
    clean(_is_error(face, reply))
    return f"status {reply.seen.status}"


async def disguised(face: Face, stage: Stage) -> str:
    stage.speaks(
        lambda voice, _: Behaviour(
            [as_bytes(voice.error(500, "It broke.", "broke"))], headers=JSON_TYPE, framing="length"
        )
    )
    return _as_told(await face.try_to_ask(stage))


async def empty_stream(face: Face, stage: Stage) -> str:
    stage.speaks(lambda voice, _: Behaviour([b""], headers=SSE_TYPE))
    return _as_told(await face.try_to_ask(stage))


async def first_event_fails(face: Face, stage: Stage) -> str:
    stage.speaks(lambda voice, _: Behaviour([voice.breaks(0)], headers=SSE_TYPE))
    reply = await face.try_to_ask(stage)
    expect(reply.told, f"status {reply.seen.status}, {reply.seen.body[-80:]!r}")
    expect(reply.seen.status >= 400, f"status {reply.seen.status}: too late for a failover, and for the client's retry")
    return f"status {reply.seen.status}"


def begun(stage: Stage, then: Callable[[Voice, int], bytes] | None = None, **how: Any) -> None:
    """The provider says some words, and a little later, so that they are surely on their way, something else."""
    said = Said([HELLO])

    def begins(voice: Voice, stream: bool) -> Behaviour:
        del stream
        first = voice.begins(said, HELLO.text[:8])
        second = then(voice, first.count(b"\n\n")) if then else b": more\n\n"
        return Behaviour([first, second], headers=SSE_TYPE, every=0.05, **how)

    stage.speaks(begins)


async def truncated(face: Face, stage: Stage) -> str:
    begun(stage, framing="close")
    return _as_told(await face.try_to_ask(stage), text=True)


async def truncated_event(face: Face, stage: Stage) -> str:
    """A connection that breaks tells that something went wrong; an error event also tells what, and each client sees it."""
    begun(stage, framing="close")
    reply = await face.try_to_ask(stage)
    expect(reply.seen.status >= 400 or reply.heard.error, f"no error event: {reply.seen.body[-80:]!r}")
    if reply.seen.is_stream:
        in_order(reply)
    return "an error event in this API's shape"


async def cut_event(face: Face, stage: Stage) -> str:
    begun(stage, lambda voice, _: b'data: {"id":"fa', framing="close")
    return _as_told(await face.try_to_ask(stage), text=True)


async def reset(face: Face, stage: Stage) -> str:
    begun(stage, ending="rst")
    return _as_told(await face.try_to_ask(stage), text=True)


async def cut_in_a_call(face: Face, stage: Stage) -> str:
    """Half of a call must not be run."""
    said = Said([LOOK_AT])

    def begins(voice: Voice, stream: bool) -> Behaviour:
        del stream
        half = LOOK[: len(LOOK) // 2].replace('"', '\\"')
        first = (
            voice.begins(said, half)
            if voice.name != "gemini"
            else b'data: {"candidates": [{"content": {"parts": [{"fun'
        )
        return Behaviour([first, b": more\n\n"], headers=SSE_TYPE, every=0.05, framing="close")

    stage.speaks(begins)
    return _as_told(await face.try_to_ask(stage, **face.says.tools("look")))


async def breaks(face: Face, stage: Stage) -> str:
    begun(stage, lambda voice, number: voice.breaks(number))
    reply = await face.try_to_ask(stage)
    told = _as_told(reply, text=True)
    expect(reply.seen.status >= 400 or b"it broke" in reply.seen.body, "the provider's message is lost")
    return told


async def asked_once(face: Face, stage: Stage) -> str:
    begun(stage, ending="fin")
    reply = await face.try_to_ask(stage)
    asked = len(stage.heard)
    expect(asked == 1 or reply.seen.status >= 400, f"the provider was asked {asked} times")
    return f"asked {asked} times"


async def half_an_answer(face: Face, stage: Stage) -> str:
    stage.speaks(
        lambda voice, _: Behaviour([as_bytes(voice.answer(Said([HELLO])))[:-40]], headers=JSON_TYPE, framing="close")
    )
    reply = await face.try_to_ask(stage, stream=False)
    expect(reply.seen.status >= 500 or reply.seen.broken, f"status {reply.seen.status}, {reply.seen.body[-60:]!r}")
    return f"status {reply.seen.status}"


def _as_told(reply: Reply, *, text: bool = False) -> str:
    """A client must be able to see that something went wrong; if it looked like an answer, with what came before."""
    if reply.seen.status >= 400:
        return f"status {reply.seen.status}"
    expect(reply.told, f"a clean end, stop {reply.heard.stop!r}: {reply.seen.body[-60:]!r}")
    expect(not text or b"Hello, " in reply.seen.body, "the text that came before is lost")
    return "the connection breaks" if reply.heard.error is None else "an error event"


# Who leaves


async def _leaves(face: Face, stage: Stage, *, after: int, stream: bool = True) -> str:
    streamed = {"stream": True} if stream else {}
    took = await stage.leaves(after=after, path=face.path, **{**face.hello, **streamed})
    return f"closed after {took:.1f} ms"


async def leaves_in_mid_stream(face: Face, stage: Stage) -> str:
    said = Said([Text("Hello, " * 200_000)])
    stage.speaks(
        lambda voice, _: Behaviour([voice.begins(said, "Hello")] * 200, headers=SSE_TYPE, every=0.01, ending="hang")
    )
    return await _leaves(face, stage, after=50)


async def leaves_in_silence(face: Face, stage: Stage) -> str:
    begun(stage, lambda voice, _: b"", ending="hang")
    return await _leaves(face, stage, after=50)


async def leaves_before_the_first_event(face: Face, stage: Stage) -> str:
    stage.always(Behaviour(headers=SSE_TYPE, ending="hang"))
    return await _leaves(face, stage, after=0)


async def leaves_before_the_headers(face: Face, stage: Stage) -> str:
    stage.always(Behaviour(silent=True))
    return await _leaves(face, stage, after=0)


async def leaves_unstreamed(face: Face, stage: Stage) -> str:
    stage.always(Behaviour(silent=True))
    return await _leaves(face, stage, after=0, stream=False)


_NAMED: list[tuple[str, Callable[[Face, Stage], Awaitable[str]]]] = [
    ("a streamed answer: every event and member", streamed),
    ("a whole answer: every member", whole),
    ("nothing is held back", not_held_back),
    ("the provider's usage", counted),
    ("the provider's usage of a whole answer", counted_whole),
    ("usage where the provider says none", uncounted),
    ("sources", sources),
    ("calls and results find each other", call_ids),
    ("reasoning goes to the client and back", reasoning_goes_round),
    ("a system prompt reaches the provider", system),
    ("an image reaches the provider", picture),
    ("a document reaches the provider", document),
    ("tools reach the provider", offered_tools),
    ("a forced tool", must_call),
    ("any tool, but one", must_call_any),
    ("results of tools reach the provider", results),
    ("an image as a result", picture_results),
    ("limits and sampling reach the provider", limits),
    ("a schema for the answer reaches the provider", schema),
    ("effort reaches the provider", effort),
    ("nothing private of the client's reaches the provider", private),
    ("a 400 keeps what it says", bad_request),
    ("a 429 keeps Retry-After", rate_limit),
    ("an overload", overloaded),
    ("a web page with a 502", web_page),
    ("an error object with status 200", disguised),
    ("an empty stream", empty_stream),
    ("an error for a first event has a status", first_event_fails),
    ("a stream that ends without its end", truncated),
    ("its error event", truncated_event),
    ("a stream that ends inside an event", cut_event),
    ("a stream that ends inside a call", cut_in_a_call),
    ("a connection that is reset", reset),
    ("an error in mid-stream", breaks),
    ("the provider is not asked again in mid-stream", asked_once),
    ("half an answer that was not streamed", half_an_answer),
    ("the client leaves in mid-stream", leaves_in_mid_stream),
    ("the client leaves a silent stream", leaves_in_silence),
    ("the client leaves before the first event", leaves_before_the_first_event),
    ("the client leaves before the headers", leaves_before_the_headers),
    ("the client leaves what is not streamed", leaves_unstreamed),
]
_OWN: list[tuple[str, Callable[[Face, Stage], Awaitable[str]]]] = [
    ("bad JSON", bad_json),
    ("nothing asked", nothing_asked),
    ("an unknown model", unknown_model),
]


def checks(face: Face) -> list[Check]:
    return [
        *(Check(face.name, case.name, case.run(face)) for case in CASES),
        *(Check(face.name, name, partial(run, face)) for name, run in _NAMED),
        *(Check(face.name, name, partial(run, face), asks=False) for name, run in _OWN),
    ]
