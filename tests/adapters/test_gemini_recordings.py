"""Gemini's recorded traffic through the adapter, against a plain reading of the same bytes.

The recordings are not part of this repository: they are found by LLMPROXY_RECORDINGS, else beside the checkout.
"""

from __future__ import annotations

import base64
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from llmproxy.adapters.gemini import Gemini

from llmproxy.core.adapter import Account
from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import GatewayError
from tests.thorough import each

BESIDE = Path(__file__).parents[2] / ".." / "shared" / "recordings"
FOLDER = Path(os.environ.get("LLMPROXY_RECORDINGS") or BESIDE)
FILES = sorted(path for kind in ("gemini", "gemini-vertex") for path in FOLDER.glob(f"{kind}/*.json"))
FAILED_ENDS = {"UNEXPECTED_TOOL_CALL", "MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE"}

if not FILES:
    pytest.skip(f"no recordings in {FOLDER}; set LLMPROXY_RECORDINGS", allow_module_level=True)


def load(path: Path) -> Json:
    recorded: Json = orjson.loads(path.read_bytes())
    recorded["body"] = base64.b64decode(recorded["response"]["body_b64"])
    return recorded


RECORDED = {path.name: load(path) for path in FILES}


def named(*methods: str, failed: bool = False) -> list[str]:
    return [
        name
        for name, one in RECORDED.items()
        if name.startswith(methods) and (one["response"]["status"] >= 400) is failed
    ]


ANSWERS = named("generateContent", "streamGenerateContent")
SIZES = (10**9, 1, 7, 1021, "random")


def cut(body: bytes, size: int | str) -> Iterator[bytes]:
    dice, at = random.Random(20), 0
    while at < len(body):
        step = size if isinstance(size, int) else dice.randint(1, 300)
        yield body[at : at + step]
        at += step


def translated(body: bytes, size: int | str, *, stream: bool) -> tuple[bytes, GatewayError | None]:
    chat = Chat({"stream": stream, "stream_options": {"include_usage": True}}, "gemini-x")
    translator = Gemini(Account("gemini", api_key="AIzaSecret")).translator(chat)
    frames: list[bytes] = []
    try:
        for data in cut(body, size):
            frames.extend(translator.feed(data))
        frames.extend(translator.finish())
    except GatewayError as error:
        return b"".join(frames), error
    return b"".join(frames), None


def plainly(body: bytes) -> list[Json]:
    """The events of a body, by the simplest reading there is."""
    if body.lstrip()[:1] in b"[{":
        whole = orjson.loads(body)
        return whole if isinstance(whole, list) else [whole]
    lines = body.decode().replace("\r\n", "\n").split("\n")
    events = [orjson.loads(line[5:]) for line in lines if line.startswith("data:")]
    bare = "\n".join(line for line in lines if not line.startswith("data:")).strip()
    return [*events, *([orjson.loads(bare)] if bare else [])]


class Plain:
    """What the events say, read without any of the adapter's code."""

    def __init__(self, body: bytes) -> None:
        events = plainly(body)
        candidates = [one for event in events for one in event.get("candidates", ())]
        self.parts = [part for one in candidates for part in one.get("content", {}).get("parts", ())]
        self.finishes = [one["finishReason"] for one in candidates if "finishReason" in one]
        self.blocked = any("blockReason" in event.get("promptFeedback", {}) for event in events)
        self.error = any("error" in event for event in events)
        usages = [event["usageMetadata"] for event in events if "totalTokenCount" in event.get("usageMetadata", {})]
        self.usage: Json | None = usages[-1] if usages else None

    def text(self, *, thought: bool) -> str:
        return "".join(part.get("text", "") for part in self.parts if part.get("thought", False) is thought)

    def calls(self) -> list[tuple[str, Any]]:
        """Whole calls only."""
        found = [part["functionCall"] for part in self.parts if "functionCall" in part]
        return [(call["name"], call.get("args", {})) for call in found if "name" in call and "willContinue" not in call]

    @property
    def has(self) -> set[str]:
        return {kind for part in self.parts for kind in part}

    @property
    def breaks(self) -> bool:
        return (
            self.error or not (self.finishes or self.blocked) or bool(FAILED_ENDS & {str(one) for one in self.finishes})
        )


@each("name", ANSWERS)
def test_however_it_is_cut_it_says_the_same(name: str) -> None:
    body = RECORDED[name]["body"]
    sizes = SIZES if len(body) < 60_000 else SIZES[2:]
    for stream in (True, False):
        whole, error = translated(body, SIZES[0], stream=stream)
        for size in sizes[1:]:
            again, its_error = translated(body, size, stream=stream)
            assert again == whole
            assert repr(its_error) == repr(error)


@each("name", ANSWERS)
def test_nothing_is_lost_and_nothing_invented(name: str) -> None:
    plain = Plain(RECORDED[name]["body"])
    body, error = translated(RECORDED[name]["body"], 10**9, stream=False)
    assert (error is not None) is plain.breaks
    if error is not None:
        return
    answer = orjson.loads(body)
    (choice,) = answer["choices"]
    message = choice["message"]
    assert (message.get("reasoning_content") or "") == plain.text(thought=True)
    assert_same_text(message.get("content") or "", plain)
    assert_same_calls(message, plain)
    assert_same_usage(answer.get("usage"), plain.usage)
    if "inlineData" in plain.has:
        assert len(message["images"]) == sum("inlineData" in part for part in plain.parts)


def assert_same_text(content: str, plain: Plain) -> None:
    if "executableCode" not in plain.has:
        assert content == plain.text(thought=False)
        return
    at = 0
    for part in plain.parts:  # what ran is shown between the pieces of text
        said = part.get("text") or part.get("executableCode", {}).get("code") or ""
        if not part.get("thought"):
            at = content.index(said, at) + len(said)


def assert_same_calls(message: Json, plain: Plain) -> None:
    calls = [
        (one["function"]["name"], orjson.loads(one["function"]["arguments"])) for one in message.get("tool_calls", ())
    ]
    assert len({one["id"] for one in message.get("tool_calls", ())}) == len(calls)
    if not any("willContinue" in part.get("functionCall", {}) for part in plain.parts):
        assert calls == plain.calls()
    signatures = [
        part["thoughtSignature"] for part in plain.parts if "functionCall" in part and "thoughtSignature" in part
    ]
    kept = [
        one["extra_content"]["google"]["thought_signature"]
        for one in message.get("tool_calls", ())
        if "extra_content" in one
    ]
    assert kept == signatures


def assert_same_usage(usage: Json | None, said: Json | None) -> None:
    assert (usage is None) == (said is None)
    if usage is None or said is None:
        return
    assert usage["total_tokens"] == said["totalTokenCount"]
    assert usage.get("completion_tokens_details", {}).get("reasoning_tokens") == said.get("thoughtsTokenCount")
    assert usage.get("prompt_tokens_details", {}).get("cached_tokens") == said.get("cachedContentTokenCount")
    if "candidatesTokenCount" in said or "thoughtsTokenCount" in said:
        assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]


@each("name", ANSWERS)
def test_the_stream_is_shaped_as_openai_shapes_it(name: str) -> None:
    body, error = translated(RECORDED[name]["body"], 10**9, stream=True)
    if error is not None:
        assert b"[DONE]" not in body
        return
    *frames, done = body.strip().split(b"\n\n")
    chunks = [orjson.loads(frame.removeprefix(b"data: ")) for frame in frames]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert done == b"data: [DONE]"
    assert len({(chunk["id"], chunk["model"], chunk["created"], chunk["object"]) for chunk in chunks}) == 1
    assert [choice["delta"].get("role") for choice in choices] == ["assistant", *[None] * (len(choices) - 1)]
    assert [choice["finish_reason"] is None for choice in choices] == [*[True] * (len(choices) - 1), False]
    calls = [call["index"] for choice in choices for call in choice["delta"].get("tool_calls", ())]
    assert calls == list(range(len(calls)))
    assert (choices[-1]["finish_reason"] == "tool_calls") == bool(calls)
    assert sum("usage" in chunk for chunk in chunks) <= 1


@each("name", [name for name in ANSWERS if b"groundingSupports" in RECORDED[name]["body"]])
def test_what_gemini_quotes_stands_where_the_annotation_points(name: str) -> None:
    events = plainly(RECORDED[name]["body"])
    supports = [
        support
        for event in events
        for one in event["candidates"]
        for support in one.get("groundingMetadata", {}).get("groundingSupports", ())
    ]
    message = orjson.loads(translated(RECORDED[name]["body"], 10**9, stream=False)[0])["choices"][0]["message"]
    places = {(one["url_citation"]["start_index"], one["url_citation"]["end_index"]) for one in message["annotations"]}
    assert {message["content"][start:end] for start, end in places} == {one["segment"]["text"] for one in supports}


@each("name", named("", failed=True))
def test_a_recorded_failure_keeps_its_status_and_message(name: str) -> None:
    recorded = RECORDED[name]
    said = orjson.loads(recorded["body"])["error"]
    error = Gemini(Account("gemini")).error(recorded["response"]["status"], {}, recorded["body"])
    bad_key = any(one.get("reason") == "API_KEY_INVALID" for one in said.get("details", ()))
    assert error.status == (401 if bad_key else said["code"])
    assert error.message == said["message"]
    assert error.retry_here is (error.status == 429)
    assert b"AIza" not in error.as_bytes()


def test_the_recorded_limit_says_how_long_to_wait() -> None:
    (name,) = [name for name in named("", failed=True) if RECORDED[name]["response"]["status"] == 429]
    error = Gemini(Account("gemini")).error(429, {}, RECORDED[name]["body"])
    assert (error.wait, error.headers) == (48.0, {"Retry-After": "48"})


@each("name", named("batchEmbedContents"))
def test_recorded_vectors(name: str) -> None:
    recorded = RECORDED[name]
    chat = Chat({"input": "x"}, "gemini-embedding-001", face="embeddings")
    translator = Gemini(Account("gemini")).translator(chat)
    for data in cut(recorded["body"], 1021):
        assert not list(translator.feed(data))
    reply, said = orjson.loads(b"".join(translator.finish())), orjson.loads(recorded["body"])
    assert [one["embedding"] for one in reply["data"]] == [one["values"] for one in said["embeddings"]]
    assert ("usage" in reply) == ("usageMetadata" in said)
