"""Recorded answers of Gemini: passed on as they came, however they are cut; and the same when they go by way of a chat."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import orjson
import pytest
from google.genai import types
from llmproxy.adapters.gemini import Gemini

from llmproxy.core.adapter import Account, Translator
from llmproxy.core.chat import Chat
from llmproxy.core.errors import Truncated, UpstreamError
from llmproxy.core.trace import Trace
from llmproxy.dialects.gemini.dialect import DIALECT
from llmproxy.wire.provider_errors import in_band
from llmproxy.wire.sse import Events
from tests.dialects.gemini.house import ASK, Json, events, parts
from tests.recordings.recording import FOLDER
from tests.thorough import THOROUGH, each

FILES = sorted((FOLDER / "gemini").glob("*enerateContent-*.json")) + sorted((FOLDER / "gemini-vertex").glob("*.json"))
SIZES = (1, 2, 3, 7, 64, 1000, 1 << 20) if THOROUGH else (1, 3, 7, 1000)
Case = tuple[str, bool, bytes]

pytestmark = pytest.mark.skipif(not FILES, reason="there are no recordings here")


@cache
def cases() -> list[Case]:
    """Good answers: name, whether it is an event stream, and the body."""
    found = []
    for path in FILES:
        case = json.loads(path.read_text())
        response = case["response"]
        body = base64.b64decode(response.get("body_b64") or "")
        is_stream = body.lstrip().startswith(b"data:")
        if response["status"] == 200 and "enerateContent" in case["api"] and (is_stream or body.lstrip()[:1] == b"{"):
            found.append((path.stem, is_stream, body))
    return found


def named(*, stream: bool) -> Callable[[Any], Any]:
    chosen = [one for one in cases() if one[1] == stream] if FILES else []
    return each("case", chosen, ids=lambda case: str(case[0]))


def asking(*, stream: bool) -> Chat:
    body: Json = {**ASK, "generationConfig": {"thinkingConfig": {"includeThoughts": True}}}
    trace = Trace("req", 1700000000)
    return Chat(body, "gemini-3-flash-preview", "gemini", None, trace, dialect=DIALECT, streaming=stream)


def run(translator: Translator, body: bytes, size: int) -> tuple[bytes, UpstreamError | None]:
    given: list[bytes] = []

    def take(frames: Iterable[bytes]) -> None:
        given.extend(frames)

    try:
        for at in range(0, len(body), size):
            take(translator.feed(body[at : at + size]))
        take(translator.finish())
    except UpstreamError as error:
        return b"".join(given), error
    return b"".join(given), None


@named(stream=True)
def test_a_stream_is_passed_on_to_the_byte_but_for_its_line_ends(case: Case) -> None:
    _, _, body = case
    unix = body.replace(b"\r\n", b"\n")
    for size in SIZES if len(body) < 100_000 else SIZES[3:]:
        watched = DIALECT.watch(asking(stream=True), in_band)
        given, error = run(watched, body, size)
        if b'"error"' in body:
            assert error is not None
            continue
        assert error is None, size
        assert given.rstrip(b"\n") == unix.rstrip(b"\n"), size
        assert watched.started
        assert watched.done


@named(stream=False)
def test_a_whole_answer_is_passed_on_to_the_byte(case: Case) -> None:
    _, _, body = case
    for size in (7, 1 << 20):
        watched = DIALECT.watch(asking(stream=False), in_band)
        assert run(watched, body, size) == (body, None)
        assert watched.done


@named(stream=True)
def test_the_watcher_counts_what_the_adapter_counts(case: Case) -> None:
    _, _, body = case
    watched = DIALECT.watch(asking(stream=True), in_band)
    _, error = run(watched, body, 4096)
    chat = DIALECT.as_chat(asking(stream=True))
    relay = Gemini(Account("gemini", api_key="k")).translator(chat)
    _, other = run(relay, body, 4096)
    if error is None and other is None:  # the adapter takes some ends for errors, which the client is shown here
        assert (watched.usage and watched.usage.raw) == (relay.usage and relay.usage.raw)


@named(stream=True)
def test_a_stream_that_is_cut_before_its_finish_is_an_error(case: Case) -> None:
    _, _, body = case
    first = body.replace(b"\r\n", b"\n").find(b'"finishReason"')
    if first < 0 or b'"promptFeedback"' in body[:first]:
        pytest.skip("it has no finish")
    for cut in sorted({0, 1, first // 3, first // 2, first}):
        watched = DIALECT.watch(asking(stream=True), in_band)
        _, error = run(watched, body.replace(b"\r\n", b"\n")[:cut], 1 << 20)
        assert isinstance(error, UpstreamError), cut
        assert isinstance(error, Truncated) or b'"error"' in body


@each("case", cases() if FILES else [], ids=lambda case: str(case[0]))
def test_by_way_of_a_chat_text_thoughts_calls_signatures_usage_and_finish_stay(case: Case) -> None:
    _, is_stream, body = case
    before = [orjson.loads(one.data) for one in Events().feed(body)] if is_stream else [orjson.loads(body)]
    chat = DIALECT.as_chat(asking(stream=is_stream))
    given, error = run(Gemini(Account("gemini", api_key="k")).translator(chat), body, 1000)
    if error is not None:
        return  # an answer that is an error, or an end that means one
    after = events(given) if is_stream else [orjson.loads(given)]
    for one in after:
        types.GenerateContentResponse.model_validate(one)
    if any("executableCode" in part for part in parts(before)) or any(
        one.get("index") for answer in before for one in answer.get("candidates", ())
    ):
        return  # code is shown as text, and of several candidates there is the first one
    if b"blockReason" in body or b"partialArgs" in body:
        return  # what was blocked is told as a refusal, and a call that came in pieces is whole
    assert facts(after) == facts(before)


def facts(answers: list[Json]) -> Json:
    said = parts(answers)
    counts: Json = {}
    ends = []
    for one in answers:
        counts = one.get("usageMetadata") or counts
        ends += [c["finishReason"] for c in one.get("candidates", ()) if c.get("finishReason")]
    prompt = {name: counts.get(name, 0) for name in ("promptTokenCount", "thoughtsTokenCount", "candidatesTokenCount")}
    return {
        "text": "".join(part["text"] for part in said if "text" in part and not part.get("thought")),
        "thoughts": "".join(part["text"] for part in said if part.get("thought")),
        "calls": [bare(part["functionCall"]) for part in said if "functionCall" in part],
        "signed": [part["thoughtSignature"] for part in said if "functionCall" in part and "thoughtSignature" in part],
        "signatures": sorted({part["thoughtSignature"] for part in said if "thoughtSignature" in part}),
        "usage": prompt,
        "end": {"1": "STOP", "2": "MAX_TOKENS"}.get(str(ends[-1]), ends[-1]) if ends else None,
        "images": sum("inlineData" in part for part in said),
    }


def bare(call: Any) -> Json:
    return {"name": call.get("name"), "args": call.get("args") or {}}


def test_counts_of_events_that_are_not_parsed_are_the_answers() -> None:
    """The last event before a cut says what is billed, and a text may look like an event."""
    watched = DIALECT.watch(Chat({}, "m", "gemini", dialect=DIALECT, streaming=True), lambda event: UpstreamError("x"))
    counts = '{"candidatesTokenCount": %d, "totalTokenCount": %d}'
    event = '{"candidates": [{"content": {"parts": [{"text": "%s"}]}}], "usageMetadata": ' + counts + "}"
    for number in range(1, 9):
        text = "data: {}" if number > 6 else f"w{number}"
        list(watched.feed(b"data: " + (event % (text, number, number)).encode() + b"\r\n\r\n"))
        assert watched.usage is not None
        assert watched.usage.tokens.completion == number
    block = b"".join(b"data: " + (event % ("data: x", n, n)).encode() + b"\r\n\r\n" for n in range(20, 25))
    list(watched.feed(block))
    assert watched.usage is not None
    assert watched.usage.tokens.completion == 24
