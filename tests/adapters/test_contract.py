"""The contract suite on every adapter of ours, with small replies written here in each provider's own format."""

from __future__ import annotations

from typing import Any, ClassVar

import orjson

from llmproxy.core import adapter_registry
from llmproxy.core.adapter import Account, Adapter
from llmproxy.testing import chunk, completion, failure, sse
from llmproxy.testing.contract import SECRET, AdapterContract, Fault, Sample, asks

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
COUNT = chunk(usage=USAGE)
ROLE = chunk({"role": "assistant", "content": "", "refusal": None})
STOP = chunk({}, finish="stop")


def built(adapter: str, base_url: str = "https://api.example.com/v1", **options: object) -> Adapter:
    return adapter_registry.build(adapter, Account(adapter, base_url, SECRET, options=options))


def dumped(*values: object) -> bytes:
    return b"".join(orjson.dumps(value) for value in values)


def called(index: int, id: str, name: str, arguments: str, **more: Any) -> dict[str, Any]:
    return {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def goes_on(index: int, arguments: str) -> dict[str, Any]:
    return {"index": index, "function": {"arguments": arguments}}


TEXT = sse(ROLE, chunk({"content": "Grüße, "}), chunk({"content": "世界 🌍"}), STOP, COUNT)
TOOLS = sse(
    chunk({"role": "assistant", "content": None, "tool_calls": [called(0, "call_a", "look", "")]}),
    chunk({"tool_calls": [goes_on(0, '{"at":')]}),
    chunk({"tool_calls": [goes_on(0, '"sea"}')]}),
    chunk({"tool_calls": [called(1, "call_b", "wait", "{}")]}),
    chunk({}, finish="tool_calls"),
    COUNT,
)
CALLS = [("look", {"at": "sea"}), ("wait", {})]
HELLO = Sample("hello", asks(stream=True), TEXT, text="Grüße, 世界 🌍", usage=(3, 2))
TWO_CALLS = Sample("two calls", asks(stream=True), TOOLS, tools=CALLS, finish="tool_calls", usage=(3, 2))
WHOLE = Sample("whole", asks(), dumped(completion("Grüße", usage=USAGE)), text="Grüße", usage=(3, 2))
LIMITED = Fault(
    429,
    dumped({"error": {"message": "Slow down.", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}),
    {"retry-after": "2"},
    code="rate_limit_exceeded",
    message="Slow down.",
    retry_here=True,
    wait=2.0,
)
BROKE = Fault(
    429, dumped({"error": {"message": "Pay first.", "code": "insufficient_quota"}}), code="insufficient_quota"
)
WRONG = Fault(400, dumped(failure(400, "No such field.")), message="No such field.", try_elsewhere=False)
OVERLOADED = Fault(
    503, b"<html>busy</html>", {"content-type": "text/html"}, code="upstream_error", retry_here=True, try_elsewhere=True
)


class TestOpenAI(AdapterContract):
    streams = (
        HELLO,
        TWO_CALLS,
        Sample(
            "completions",
            {"model": "a-model", "prompt": "Hello", "stream": True},
            sse(
                *(
                    {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": choices}
                    for choices in (
                        [{"index": 0, "text": "Hi ", "logprobs": None, "finish_reason": None}],
                        [{"index": 0, "text": "you", "logprobs": None, "finish_reason": "stop"}],
                    )
                )
            ),
            text="Hi you",
            face="completions",
        ),
    )
    answers = (WHOLE,)
    faults = (LIMITED, BROKE, WRONG, OVERLOADED)
    models_reply = dumped({"object": "list", "data": [{"id": "m-1", "object": "model", "created": 1, "owned_by": "o"}]})
    model_ids = ("m-1",)

    def adapter(self) -> Adapter:
        return built("openai")


class TestCompatible(AdapterContract):
    """Servers that leave out, repeat and misname what they may."""

    streams = (
        HELLO,
        Sample(
            "bare chunks",
            asks(stream=True),
            sse({"choices": [{"delta": {"content": "Hi"}}]}, {"choices": [{"delta": {}, "finish_reason": "stop"}]}),
            text="Hi",
        ),
        Sample(
            "thoughts called reasoning",
            asks(stream=True),
            sse(
                chunk({"role": "assistant", "reasoning": "Hm, "}),
                chunk({"reasoning": "yes."}),
                chunk({"content": "Yes."}),
                STOP,
            ),
            text="Yes.",
            reasoning="Hm, yes.",
        ),
        Sample(
            "calls without index and stop for a finish",
            asks(stream=True),
            sse(
                chunk(
                    {
                        "role": "assistant",
                        "tool_calls": [{"id": "a", "function": {"name": "look", "arguments": '{"at":"sea"}'}}],
                    }
                ),
                chunk({"tool_calls": [{"id": "b", "function": {"name": "wait", "arguments": {}}}]}),
                STOP,
            ),
            tools=CALLS,
            finish="tool_calls",
        ),
    )
    answers = (
        WHOLE,
        Sample(
            "bare", asks(), dumped({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}), text="Hi"
        ),
    )
    faults = (LIMITED, WRONG, OVERLOADED)

    def adapter(self) -> Adapter:
        return built("compatible")


class TestAzure(AdapterContract):
    """An opening chunk without choices, and a model name that changes."""

    streams = (
        Sample(
            "hello",
            asks(stream=True),
            sse(
                {**chunk(), "id": "", "model": "", "prompt_filter_results": []},
                ROLE,
                chunk({"content": "Hi"}),
                STOP,
                COUNT,
            ),
            text="Hi",
            usage=(3, 2),
        ),
    )
    answers = (WHOLE,)
    faults = (
        Fault(
            429,
            dumped({"error": {"code": "RateLimitReached", "message": "Too many."}}),
            {"retry-after": "1", "retry-after-ms": "0"},
            code="RateLimitReached",
            retry_here=True,
            wait=1.0,
        ),
    )

    def adapter(self) -> Adapter:
        return built("azure", "https://x.openai.azure.com")


def model_messages(delta: dict[str, Any], finish: str | None = None, **members: Any) -> dict[str, Any]:
    """OpenRouter: a role in every delta, a finish in its own words beside OpenAI's."""
    return chunk({"role": "assistant", "content": "", **delta}, finish=finish, provider="Somebody", **members)


class TestOpenRouter(AdapterContract):
    streams = (
        Sample(
            "a finish that comes twice",
            asks(stream=True),
            b": OPENROUTER PROCESSING\n\n"
            + sse(
                model_messages(
                    {"reasoning": "Hm.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "index": 0}]}
                ),
                model_messages({"content": "Hi"}),
                model_messages({}, "stop"),
                model_messages({}, "stop", usage={**USAGE, "cost": 0.1}),
            ),
            text="Hi",
            reasoning="Hm.",
            usage=(3, 2),
        ),
        Sample(
            "folded",
            asks(),
            sse(model_messages({"content": "Hi "}), model_messages({"content": "you"}), model_messages({}, "stop")),
            text="Hi you",
        ),
    )
    answers = (WHOLE,)
    faults = (
        Fault(402, dumped({"error": {"code": 402, "message": "No credits."}}), code="402", message="No credits."),
        Fault(502, dumped({"error": {"code": 502, "message": "Bad provider."}}), code="502", retry_here=True),
    )
    models_reply = dumped({"data": [{"id": "a/b", "name": "B", "created": 1, "context_length": 10}]})
    model_ids = ("a/b",)

    def adapter(self) -> Adapter:
        return built("openrouter")


SOURCES = {"citations": ["https://a.example", "https://b.example"]}


def cumulative(said: str, delta: str, **members: Any) -> dict[str, Any]:
    """Perplexity: the whole answer again in each event."""
    head = {"id": "p-1", "model": "sonar", "created": 1700000000, "object": "chat.completion.chunk"}
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": said},
        "delta": {"role": "assistant", "content": delta},
    }
    finish = members.pop("finish", None)
    return {
        **head,
        "usage": USAGE,
        **SOURCES,
        **members,
        "choices": [{**choice, **({"finish_reason": finish} if finish else {})}],
    }


class TestPerplexity(AdapterContract):
    streams = (
        Sample(
            "cumulative",
            asks(model="sonar", stream=True),
            sse(
                cumulative("It rains", "It rains"),
                cumulative("It rains[1].", "[1]."),
                cumulative("It rains[1].", "", finish="stop", object="chat.completion.done"),
                done=False,
            ).replace(b"\n", b"\r\n"),
            text="It rains[1].",
            usage=(3, 2),
            cites=SOURCES["citations"],
        ),
    )
    answers = (
        Sample(
            "whole",
            asks(model="sonar"),
            dumped(completion("Hi", usage=USAGE, **SOURCES)),
            text="Hi",
            usage=(3, 2),
            cites=SOURCES["citations"],
        ),
    )
    faults = (
        Fault(
            400,
            dumped({"error": {"message": "Too long.", "type": "too_many_prompt_tokens", "code": 400}}),
            code="context_length_exceeded",
            message="Too long.",
            try_elsewhere=True,
        ),
        Fault(429, b"", code="upstream_error", retry_here=True),
    )

    def adapter(self) -> Adapter:
        return built("perplexity", "https://api.perplexity.ai")


class TestLlamaCpp(AdapterContract):
    streams = (
        Sample(
            "thinks",
            asks(stream=True),
            sse(
                chunk({"role": "assistant", "content": None}),
                chunk({"reasoning_content": "Hm."}),
                chunk({"content": "Hi"}),
                chunk({}, finish="stop", timings={"predicted_n": 2}),
                chunk(usage=USAGE, timings={"predicted_n": 2}),
            ),
            text="Hi",
            reasoning="Hm.",
            usage=(3, 2),
        ),
        Sample(
            "arguments token by token, folded",
            asks(),
            sse(
                chunk({"role": "assistant", "content": None}),
                chunk({"tool_calls": [called(0, "x" * 32, "look", "{")]}),
                chunk({"tool_calls": [goes_on(0, '"at":"sea"}')]}),
                chunk({}, finish="tool_calls"),
                COUNT,
            ),
            tools=CALLS[:1],
            finish="tool_calls",
            usage=(3, 2),
        ),
    )
    answers = (WHOLE,)
    faults = (
        Fault(
            503,
            dumped({"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}),
            code="503",
            retry_here=True,
        ),
        Fault(
            500,
            dumped({"error": {"code": 500, "message": "no image", "type": "server_error"}}),
            code="500",
            try_elsewhere=True,
        ),
        Fault(
            400,
            dumped({"error": {"code": 400, "message": "too long", "type": "exceed_context_size_error", "n_ctx": 8}}),
            code="context_length_exceeded",
            try_elsewhere=True,
        ),
    )
    models_reply = dumped(
        {"object": "list", "data": [{"id": "tiny", "object": "model", "created": 1, "owned_by": "llamacpp"}]}
    )
    model_ids = ("tiny",)

    def adapter(self) -> Adapter:
        return built("llamacpp")


def candidate(*parts: dict[str, Any], finish: str | None = None, **members: Any) -> dict[str, Any]:
    one = {
        "content": {"role": "model", "parts": list(parts)},
        "index": 0,
        **({"finishReason": finish} if finish else {}),
        **members,
    }
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 1, "thoughtsTokenCount": 1, "totalTokenCount": 5}
    return {"candidates": [one], "usageMetadata": usage, "modelVersion": "gemini-3-flash", "responseId": "r1"}


def crlf(*events: dict[str, Any]) -> bytes:
    return sse(*events, done=False).replace(b"\n", b"\r\n")


GROUNDED = {
    "groundingChunks": [{"web": {"uri": "https://a.example", "title": "a"}}],
    "groundingSupports": [{"segment": {"endIndex": 7, "text": "Grüße"}, "groundingChunkIndices": [0]}],
}


class TestGemini(AdapterContract):
    streams = (
        Sample(
            "thinks",
            asks(model="gemini-3-flash-preview", stream=True),
            crlf(
                candidate({"text": "Hm.", "thought": True}),
                candidate({"text": "Grüße, "}),
                candidate({"text": "世界"}, finish="STOP"),
            ),
            text="Grüße, 世界",
            reasoning="Hm.",
            usage=(3, 2),
        ),
        Sample(
            "two calls, and STOP for a finish",
            asks(model="gemini-3-flash-preview", stream=True),
            crlf(
                candidate({"functionCall": {"name": "look", "args": {"at": "sea"}}, "thoughtSignature": "c2ln"}),
                candidate({"functionCall": {"name": "wait", "args": {}}}),
                candidate({"text": ""}, finish="STOP"),
            ),
            tools=CALLS,
            finish="tool_calls",
            usage=(3, 2),
        ),
        Sample(
            "grounded",
            asks(model="gemini-3-flash-preview", stream=True),
            crlf(candidate({"text": "Grüße"}), candidate({"text": "."}, finish="STOP", groundingMetadata=GROUNDED)),
            text="Grüße.",
            usage=(3, 2),
            cites=["https://a.example"],
        ),
    )
    answers = (
        Sample(
            "whole",
            asks(model="gemini-3-flash-preview"),
            dumped(candidate({"text": "Hi"}, finish="MAX_TOKENS")),
            text="Hi",
            finish="length",
            usage=(3, 2),
        ),
    )
    faults = (
        Fault(
            400,
            dumped(
                {
                    "error": {
                        "code": 400,
                        "message": "API key not valid.",
                        "status": "INVALID_ARGUMENT",
                        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
                    }
                }
            ),
            code="invalid_api_key",
            status_seen=401,
        ),
        Fault(
            429,
            dumped(
                {
                    "error": {
                        "code": 429,
                        "message": "Quota exceeded.",
                        "status": "RESOURCE_EXHAUSTED",
                        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}],
                    }
                }
            ),
            code="resource_exhausted",
            retry_here=True,
            wait=34.5,
        ),
        Fault(
            503,
            dumped({"error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}}),
            code="unavailable",
            retry_here=True,
        ),
    )
    models_reply = dumped(
        {
            "models": [
                {"name": "models/gemini-3-flash", "supportedGenerationMethods": ["generateContent"]},
                {"name": "models/aqa"},
            ]
        }
    )
    model_ids = ("gemini-3-flash",)

    def adapter(self) -> Adapter:
        return built("gemini", "https://generativelanguage.googleapis.com/v1beta")


class TestAIRefinery(AdapterContract):
    streams: ClassVar = (HELLO,)
    answers: ClassVar = (WHOLE,)
    faults: ClassVar = (OVERLOADED,)

    def adapter(self) -> Adapter:
        return built("airefinery", "https://api.example.com")
