"""The contract suite on the Anthropic adapter, with small replies written here in Messages' own events."""

from __future__ import annotations

from typing import Any

import orjson

from llmproxy.core import adapter_registry
from llmproxy.core.adapter import Account, Adapter
from llmproxy.testing.contract import SECRET, AdapterContract, Fault, Sample, asks

Json = dict[str, Any]
MODEL = "claude-opus-4-8"


def events(*said: Json) -> bytes:
    return b"".join(b"event: %s\ndata: %s\n\n" % (one["type"].encode(), orjson.dumps(one)) for one in said)


def started(**usage: int) -> Json:
    counted = {"input_tokens": 3, "output_tokens": 1, **usage}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "content": [], "usage": counted}
    return {"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None}}


def block(index: int, start: Json, *deltas: Json) -> list[Json]:
    grown = [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    begun = {"type": "content_block_start", "index": index, "content_block": start}
    return [begun, *grown, {"type": "content_block_stop", "index": index}]


def text(index: int, *pieces: str) -> list[Json]:
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in pieces))


def call(index: int, id: str, name: str, *pieces: str) -> list[Json]:
    start = {"type": "tool_use", "id": id, "name": name, "input": {}}
    return block(index, start, *({"type": "input_json_delta", "partial_json": piece} for piece in pieces))


def thought(index: int, *pieces: str, signature: str = "c2ln") -> list[Json]:
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    start = {"type": "thinking", "thinking": "", "signature": ""}
    return block(index, start, *deltas, {"type": "signature_delta", "signature": signature})


def ended(reason: str = "end_turn", output: int = 2, **members: Any) -> list[Json]:
    delta = {"stop_reason": reason, "stop_sequence": None, **members}
    return [{"type": "message_delta", "delta": delta, "usage": {"output_tokens": output}}, {"type": "message_stop"}]


def fault(status: int, kind: str, message: str = "It broke.", **expected: Any) -> Fault:
    body = orjson.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})
    return Fault(status, body, message=message, **expected)


PING = {"type": "ping"}
CITED = {
    "type": "web_search_result_location",
    "url": "https://a.example",
    "title": "A",
    "cited_text": "it is",
    "encrypted_index": "x",
}
SEARCHED = [
    *block(0, {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}),
    *block(1, {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}),
    *block(
        2,
        {"type": "text", "text": "", "citations": []},
        {"type": "citations_delta", "citation": CITED},
        {"type": "text_delta", "text": "It is."},
    ),
]
WHOLE = {
    **started()["message"],
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "text", "text": "Grüße"},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "sea"}},
    ],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 1, "cache_read_input_tokens": 2, "output_tokens": 2},
}


class TestAnthropic(AdapterContract):
    streams = (
        Sample(
            "thinks and speaks",
            asks(model=MODEL, stream=True),
            events(started(), PING, *thought(0, "Hm", "."), *text(1, "Grüße, ", "世界 🌍"), *ended()),
            text="Grüße, 世界 🌍",
            reasoning="Hm.",
            usage=(3, 2),
        ),
        Sample(
            "two calls",
            asks(model=MODEL, stream=True),
            events(
                started(cache_creation_input_tokens=4),
                *call(0, "toolu_1", "look", "", '{"at":', '"sea"}'),
                *call(1, "toolu_2", "wait", ""),
                *ended("tool_use"),
            ),
            tools=[("look", {"at": "sea"}), ("wait", {})],
            finish="tool_calls",
            usage=(7, 2),
        ),
        Sample(
            "searched",
            asks(model=MODEL, stream=True),
            events(started(), *SEARCHED, *ended()),
            text="It is.",
            usage=(3, 2),
            cites=["https://a.example"],
        ),
    )
    answers = (
        Sample(
            "whole",
            asks(model=MODEL),
            orjson.dumps(WHOLE),
            text="Grüße",
            reasoning="Hm.",
            tools=[("look", {"at": "sea"})],
            finish="tool_calls",
            usage=(3, 2),
        ),
        Sample(
            "refused",
            asks(model=MODEL),
            orjson.dumps({**WHOLE, "content": [], "stop_reason": "refusal"}),
            finish="content_filter",
            usage=(3, 2),
        ),
    )
    faults = (
        fault(400, "invalid_request_error", try_elsewhere=False),
        fault(
            400,
            "invalid_request_error",
            "prompt is too long: 9 tokens > 8 maximum",
            code="context_length_exceeded",
            try_elsewhere=True,
        ),
        fault(
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API.",
            code="insufficient_quota",
            try_elsewhere=True,
        ),
        fault(401, "authentication_error", "invalid x-api-key", code="invalid_api_key"),
        fault(404, "not_found_error", "model: claude-none", code="model_not_found", try_elsewhere=True),
        fault(413, "request_too_large", code="request_too_large", try_elsewhere=False),
        fault(
            429,
            "rate_limit_error",
            headers={"retry-after": "7"},
            code="rate_limit_exceeded",
            retry_here=True,
            wait=7.0,
        ),
        fault(500, "api_error", retry_here=True),
        fault(
            529,
            "overloaded_error",
            "Overloaded",
            headers={"retry-after": "2"},
            code="server_is_overloaded",
            retry_here=True,
            try_elsewhere=True,
            wait=2.0,
        ),
        Fault(413, b"<html>Request Entity Too Large</html>", code="upstream_error", try_elsewhere=False),
    )
    models_reply = orjson.dumps(
        {
            "data": [
                {
                    "type": "model",
                    "id": "claude-opus-4-8",
                    "display_name": "Claude",
                    "created_at": "2026-01-02T00:00:00Z",
                }
            ],
            "has_more": True,
            "last_id": "claude-opus-4-8",
        }
    )
    model_ids = ("claude-opus-4-8",)

    def adapter(self) -> Adapter:
        return adapter_registry.build("anthropic", Account("anthropic", "", SECRET))
