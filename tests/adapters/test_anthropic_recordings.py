"""Claude's recorded traffic through the adapter to a chat client, against a plain reading of the same bytes.

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
from llmproxy.adapters.anthropic import Anthropic
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llmproxy.core.adapter import Account
from llmproxy.core.chat import Chat, Json, whole
from llmproxy.core.errors import GatewayError, UpstreamError
from llmproxy.dialects import find
from llmproxy.testing import check_chat, check_error, check_stream
from llmproxy.testing.answer import Answer, payloads, read
from tests.thorough import THOROUGH, each

BESIDE = Path(__file__).parents[2] / ".." / "shared" / "recordings"
FOLDER = Path(os.environ.get("LLMPROXY_RECORDINGS") or BESIDE)
FILES = sorted(path for path in FOLDER.glob("anthropic/*.json") if path.name != "INDEX.json")
FINISHES = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length", "stop_sequence": "stop"}
ALL_SIZES: tuple[int | str, ...] = (1, 2, 3, 5, 7, 11, 64, 333, 1021, 4096, "random")
SIZES = ALL_SIZES if THOROUGH else (1, 3, 7, "random")
MODEL = "claude-opus-4-8"

if not FILES:
    pytest.skip(f"no recordings in {FOLDER}; set LLMPROXY_RECORDINGS", allow_module_level=True)


def load(path: Path) -> Json:
    recorded: Json = orjson.loads(path.read_bytes())
    recorded["body"] = base64.b64decode(recorded["response"]["body_b64"])
    return recorded


RECORDED = {path.stem: load(path) for path in FILES}


def named(api: str, *, failed: bool = False, stream: bool | None = None) -> list[str]:
    return [
        name
        for name, one in RECORDED.items()
        if one["api"] == api
        and (one["response"]["status"] >= 400) is failed
        and (stream is None or one["stream"] is stream)
    ]


ANSWERS = named("messages")
STREAMS = named("messages", stream=True)


def adapter() -> Anthropic:
    return Anthropic(Account("anthropic", api_key="sk-ant-secret-of-nobody"))


def asking(*, stream: bool, messages: list[Json] | None = None) -> Chat:
    options = {"stream_options": {"include_usage": True}} if stream else {}
    messages = messages or [{"role": "user", "content": "Hello"}]
    return Chat({"model": MODEL, "messages": messages, "stream": stream, **options}, MODEL)


def cut(body: bytes, size: int | str) -> Iterator[bytes]:
    dice, at = random.Random(20), 0
    while at < len(body):
        step = size if isinstance(size, int) else dice.randint(1, 300)
        yield body[at : at + step]
        at += step


def translated(body: bytes, size: int | str = 10**9, *, stream: bool) -> bytes:
    """What the client is given. Raises GatewayError."""
    translator = adapter().translator(asking(stream=stream))
    frames = [frame for data in cut(body, size) for frame in translator.feed(data)]
    return b"".join([*frames, *translator.finish()])


def answered(body: bytes, *, stream: bool) -> Answer:
    return read(translated(body, stream=stream), "text/event-stream" if stream else "application/json")


def plainly(body: bytes) -> Json:
    """The message that a body is, by the simplest reading there is."""
    if body.lstrip()[:1] == b"{":
        message: Json = orjson.loads(body)
        return message
    message, blocks = {}, {}
    for line in body.decode().split("\n"):
        event = orjson.loads(line[5:]) if line.startswith("data:") else {}
        kind = event.get("type")
        if kind == "message_start":
            message = event["message"]
            blocks = dict(enumerate(message["content"]))
        elif kind == "content_block_start":
            blocks[event["index"]] = dict(event["content_block"])
        elif kind == "content_block_delta":
            grow(blocks[event["index"]], event["delta"])
        elif kind == "message_delta":
            message |= {k: v for k, v in event["delta"].items() if v is not None}
            message["usage"] |= {k: v for k, v in event["usage"].items() if v is not None}
    for block in blocks.values():
        if isinstance(block.get("input"), str):
            block["input"] = orjson.loads(block["input"] or "{}")
    return {**message, "content": [block for _, block in sorted(blocks.items())]}


def grow(block: Json, delta: Json) -> None:
    for name, piece in delta.items():
        if name == "partial_json":
            block["input"] = (block["input"] or "") + piece
        elif name == "citation":
            block["citations"] = [*(block.get("citations") or ()), piece]
        elif name == "signature":
            block[name] = piece
        elif name != "type" and isinstance(piece, str):
            block[name] = (block.get(name) or "") + piece


def of(message: Json, kind: str) -> list[Json]:
    return [block for block in message["content"] if block["type"] == kind]


@each("name", ANSWERS)
def test_the_answer_says_what_the_provider_said(name: str) -> None:
    body = RECORDED[name]["body"]
    said = plainly(body)
    for stream in (True, False):
        choice = answered(body, stream=stream).first
        assert choice.text == "".join(block["text"] for block in of(said, "text"))
        assert choice.reasoning == "".join(block["thinking"] for block in of(said, "thinking"))
        calls = [(one.id, one.name, orjson.loads(one.arguments)) for one in choice.tool_calls]
        assert calls == [(one["id"], one["name"], one["input"]) for one in of(said, "tool_use")]
        assert choice.finish == ("tool_calls" if calls else FINISHES[said["stop_reason"]])
        cited = [one for block in of(said, "text") for one in block.get("citations") or () if one.get("url")]
        assert {one["url_citation"]["url"] for one in choice.annotations} >= {one["url"] for one in cited}


@each("name", ANSWERS)
def test_what_is_cited_stands_where_the_citation_says(name: str) -> None:
    body = RECORDED[name]["body"]
    choice = answered(body, stream=True).first
    cited = {block["text"] for block in of(plainly(body), "text") if block.get("citations")}
    for one in choice.annotations:
        place = one["url_citation"]
        assert choice.text[place["start_index"] : place["end_index"]] in cited


@each("name", ANSWERS)
def test_usage_is_openai_s_with_the_cache_inside(name: str) -> None:
    body = RECORDED[name]["body"]
    counted = plainly(body)["usage"]
    read_there, written = counted.get("cache_read_input_tokens") or 0, counted.get("cache_creation_input_tokens") or 0
    for stream in (True, False):
        usage = answered(body, stream=stream).usage
        assert usage is not None
        assert usage["prompt_tokens"] == counted["input_tokens"] + read_there + written
        assert usage["completion_tokens"] == counted["output_tokens"]
        assert usage["prompt_tokens_details"] == {"cached_tokens": read_there, "cache_write_tokens": written}


@each("name", ANSWERS)
def test_the_answer_is_shaped_as_openai_shapes_it(name: str) -> None:
    body = RECORDED[name]["body"]
    assert check_stream(translated(body, stream=True), include_usage=True, usage=True) == []
    out = translated(body, stream=False)
    assert check_chat(out) == []
    ChatCompletion.model_validate_json(out)
    assert b"_llmproxy" not in out + translated(body, stream=True)


@each("name", ANSWERS)
def test_openai_s_own_accumulator_has_the_same_answer(name: str) -> None:
    body = RECORDED[name]["body"]
    message = accumulated(body)
    folded = orjson.loads(translated(body, stream=False))["choices"][0]["message"]
    assert (message["content"] or "") == (folded["content"] or "")
    for member in ("reasoning_content", "reasoning_details", "extra_content"):
        assert message.get(member) == folded.get(member)
    calls = [(one["id"], one["function"]["name"], one["function"]["arguments"]) for one in message["tool_calls"] or ()]
    assert calls == [
        (one["id"], one["function"]["name"], one["function"]["arguments"]) for one in folded.get("tool_calls") or ()
    ]


def accumulated(body: bytes) -> Json:
    state: Any = ChatCompletionStreamState()
    for payload in payloads(translated(body, stream=True)):
        if payload != b"[DONE]":
            state.handle_chunk(ChatCompletionChunk.model_validate_json(payload))
    message: Json = state.current_completion_snapshot.choices[0].message.model_dump()
    return message


@each("name", ANSWERS)
def test_a_client_that_gives_the_answer_back_gives_back_the_very_blocks(name: str) -> None:
    body = RECORDED[name]["body"]
    said = [comparable(block) for block in plainly(body)["content"] if block.get("text", "x").strip()]
    folded = orjson.loads(translated(body, stream=False))["choices"][0]["message"]
    for message in (accumulated(body), folded):
        results = [
            {"role": "tool", "tool_call_id": one["id"], "content": "ok"} for one in message.get("tool_calls") or ()
        ]
        asked = [{"role": "user", "content": "Hello"}, message, *results, {"role": "user", "content": "Go on."}]
        sent = orjson.loads(whole(adapter().request(asking(stream=False, messages=asked)).body))
        given: list[Json] = next((one["content"] for one in sent["messages"] if one["role"] == "assistant"), [])
        assert [comparable(block) for block in given] == said


def comparable(block: Json) -> Json:
    """Without members that say nothing."""
    empty = {"caller": {"type": "direct"}}
    return {name: value for name, value in block.items() if value not in (None, []) and empty.get(name) != value}


@each("name", STREAMS)
def test_the_answer_is_the_same_however_its_bytes_are_cut(name: str) -> None:
    body = RECORDED[name]["body"]
    for stream in (True, False):
        once = translated(body, stream=stream)
        for size in SIZES if len(body) < 40_000 else SIZES[3:]:
            assert translated(body, size, stream=stream) == once, size


@each("name", ANSWERS)
def test_an_answer_that_is_cut_is_an_error(name: str) -> None:
    body = RECORDED[name]["body"].rstrip()
    ends = [at for at in range(len(body)) if body.startswith(b"\n\n", at)] if RECORDED[name]["stream"] else []
    places = {*ends[:: max(1, len(ends) // 40)], *ends[-3:], *range(0, len(body) - 60, max(1, len(body) // 25))}
    for stream in (True, False):
        for at in sorted(places):
            with pytest.raises(UpstreamError):
                translated(body[:at], stream=stream)


@each("name", named("messages", failed=True))
def test_an_error_keeps_its_status_type_and_words(name: str) -> None:
    response = RECORDED[name]["response"]
    said = orjson.loads(RECORDED[name]["body"])["error"]
    error: GatewayError = adapter().error(response["status"], {}, RECORDED[name]["body"])
    assert (error.status, error.type, error.message) == (response["status"], said["type"], said["message"])
    assert check_error(error.as_bytes()) == []


@each("name", named("models"))
def test_models_are_listed_with_their_names(name: str) -> None:
    said = orjson.loads(RECORDED[name]["body"])
    models, page = adapter().models(RECORDED[name]["body"])
    assert [(one.id, one.extra["name"]) for one in models] == [(one["id"], one["display_name"]) for one in said["data"]]
    assert page == (said["last_id"] if said["has_more"] else None)
    assert all(one.created > 1_600_000_000 for one in models)


@each("name", named("count_tokens"))
def test_a_count_of_tokens_is_read(name: str) -> None:
    body = RECORDED[name]["body"]
    assert adapter().counted(body) == orjson.loads(body)["input_tokens"]


def matched(asked: Any) -> bool:
    """Whether a request is whole (recorders blank out ids), and nothing in it is for Anthropic alone."""
    if not isinstance(asked, dict) or asked.get("mcp_servers") or not all(map(speaks, asked["messages"])):
        return False
    blocks = [block for _, block in spoken(asked)]
    calls, results = (
        {one.get(member) for one in blocks if one["type"] == kind}
        for kind, member in (("tool_use", "id"), ("tool_result", "tool_use_id"))
    )
    return results <= calls and all(one["type"] != "tool_addition" for one in blocks)


def speaks(message: Json) -> bool:
    """Whether a chat can have such a turn: not one of Anthropic's own tools only."""
    said = message["content"]
    return isinstance(said, str) or any(one["type"] in ("text", "tool_use", "tool_result", "image") for one in said)


def spoken(body: Json) -> list[tuple[str, Json]]:
    """What is said in a request, block by block, with who says it."""
    said = []
    for role, content in [("system", body.get("system")), *((one["role"], one["content"]) for one in body["messages"])]:
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        said += [(role, block) for block in blocks]
    return said


@each("name", [name for name in ANSWERS if matched(RECORDED[name]["request"]["body"])])
def test_the_blocks_of_a_question_come_through_the_middle_and_back(name: str) -> None:
    asked = RECORDED[name]["request"]["body"]
    chat = Chat(asked, asked["model"], "messages", orjson.dumps(asked), dialect=find("messages"))
    assert chat.dialect is not None
    sent = orjson.loads(whole(adapter().request(chat.dialect.as_chat(chat)).body))
    assert spoken(sent) == spoken(asked)
