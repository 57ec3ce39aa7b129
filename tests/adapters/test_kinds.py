"""Kinds of traffic that are documented or reported and were seldom recorded: synthesised here, and held to the same contract."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.core import adapter_registry
from llmproxy.core.adapter import Account, Adapter
from llmproxy.core.errors import UpstreamError
from llmproxy.testing import check_stream, chunk, completion, read_json, read_stream, sse
from llmproxy.testing.contract import SECRET, AdapterContract, Sample, asks

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
STOP = chunk({}, finish="stop")
CALLS = [("look", {"at": "sea"}), ("wait", {})]


def built(adapter: str, base_url: str = "https://api.example.com/v1") -> Adapter:
    return adapter_registry.build(adapter, Account(adapter, base_url, SECRET))


def call(name: str, arguments: Any, **members: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **members}


def streamed(name: str, *chunks: object, done: bool = True, model: str = "a-model", **said: Any) -> Sample:
    return Sample(name, asks(model=model, stream=True), sse(*chunks, done=done), **said)


def drained(adapter: Adapter, body: bytes, **ask: Any) -> tuple[bytes, UpstreamError | None]:
    """What came out, and the failure that ended it."""
    body_of = asks(**{"model": "a-model", **ask})
    sample = Sample("", body_of, body)
    translator = adapter.translator(sample.chat)
    out: list[bytes] = []
    try:
        out.extend(translator.feed(body))
        out.extend(translator.finish())
    except UpstreamError as error:
        return b"".join(out), error
    return b"".join(out), None


class TestServersOfAllKinds(AdapterContract):
    """vLLM, SGLang, Mistral, Ollama, Google's compatible endpoint, and whoever else says it is compatible."""

    streams = (
        streamed(
            "an empty finish reason is none",
            chunk({"role": "assistant", "content": "Hi"}, finish=""),
            chunk({"content": " you"}, finish=""),
            STOP,
            text="Hi you",
        ),
        streamed(
            "an unknown finish reason is a stop",
            chunk({"role": "assistant", "content": "Hi"}),
            chunk({}, finish="eos"),
            text="Hi",
        ),
        streamed(
            "usage with every chunk",
            *(chunk({"content": text}, usage=USAGE) for text in ("Hi ", "you")),
            chunk({}, finish="stop", usage=USAGE),
            text="Hi you",
            usage=(3, 2),
        ),
        streamed(
            "content in parts, some of them thoughts",
            chunk(
                {"role": "assistant", "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]}
            ),
            chunk({"content": [{"type": "text", "text": "Hi"}]}),
            STOP,
            text="Hi",
            reasoning="Hm.",
        ),
        streamed(
            "parallel calls one by one, without index and with empty ids, and a stop",
            chunk({"role": "assistant", "tool_calls": [call("look", '{"at":"sea"}', id="")]}),
            chunk({"tool_calls": [call("wait", "{}", id="")]}),
            STOP,
            tools=CALLS,
            finish="tool_calls",
        ),
        streamed(
            "an id and a name on every piece of a call",
            chunk({"role": "assistant", "tool_calls": [call("look", '{"at":', id="a", index=0)]}),
            chunk({"tool_calls": [call("look", '"sea"}', id="a", index=0)]}),
            chunk({}, finish="tool_calls"),
            tools=CALLS[:1],
            finish="tool_calls",
        ),
        streamed(
            "call indexes that begin at one and have gaps",
            chunk({"role": "assistant", "tool_calls": [call("look", '{"at":"sea"}', id="a", index=1)]}),
            chunk({"tool_calls": [call("wait", "{}", id="b", index=5)]}),
            chunk({}, finish="tool_calls"),
            tools=CALLS,
            finish="tool_calls",
        ),
        streamed(
            "arguments that are null, then come",
            chunk({"role": "assistant", "tool_calls": [call("look", None, id="a", index=0)]}),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"at":"sea"}'}}]}),
            chunk({}, finish="tool_calls"),
            tools=CALLS[:1],
            finish="tool_calls",
        ),
        streamed(
            "a chunk of null", chunk({"role": "assistant", "content": "Hi"}), {**STOP, "choices": None}, STOP, text="Hi"
        ),
        Sample(
            "a whole answer although a stream was asked for",
            asks(stream=True),
            orjson.dumps(completion("Hi")),
            text="Hi",
            usage=(3, 1),
        ),
    )
    answers = (
        Sample(
            "a call beside stop, without id",
            asks(),
            orjson.dumps(
                {
                    **completion(""),
                    "choices": [
                        {
                            "index": 0,
                            "finish_reason": "stop",
                            "message": {
                                "role": "assistant",
                                "content": None,
                                "tool_calls": [call("look", {"at": "sea"})],
                            },
                        }
                    ],
                }
            ),
            tools=CALLS[:1],
            finish="tool_calls",
            usage=(3, 1),
        ),
        Sample(
            "a stream although none was asked for",
            asks(),
            sse(chunk({"role": "assistant", "content": "Hi"}), STOP),
            text="Hi",
        ),
    )

    def adapter(self) -> Adapter:
        return built("compatible")


class TestPerplexityConcise(AdapterContract):
    """`stream_mode: concise`: deltas only, the sources with the two kinds of end. After the documentation."""

    streams = (
        streamed(
            "concise",
            {**chunk({"role": "assistant", "content": ""}), "object": "chat.reasoning"},
            {
                **chunk({"role": "assistant", "content": "", "reasoning_steps": [{"thought": "Look."}]}),
                "object": "chat.reasoning",
            },
            {**chunk({"content": ""}), "object": "chat.reasoning.done", "citations": ["https://a.example"]},
            chunk({"role": "assistant", "content": "It rains"}),
            chunk({"role": "assistant", "content": "[1]."}),
            {
                **chunk({}, finish="stop"),
                "object": "chat.completion.done",
                "usage": USAGE,
                "citations": ["https://a.example"],
            },
            done=False,
            model="sonar-pro",
            text="It rains[1].",
            usage=(3, 2),
            cites=["https://a.example"],
        ),
        streamed(
            "thoughts in tags",
            *(chunk({"role": "assistant", "content": text}) for text in ("<thi", "nk>Hm", ".</th", "ink>\n\nHi")),
            STOP,
            done=False,
            model="sonar-reasoning-pro",
            text="Hi",
            reasoning="Hm.",
        ),
    )

    def adapter(self) -> Adapter:
        return built("perplexity", "https://api.perplexity.ai")


class TestGeminiOfAllKinds(AdapterContract):
    streams = (
        Sample(
            "an array in place of events",
            asks(model="gemini-2.0-flash", stream=True),
            orjson.dumps(
                [
                    {"candidates": [{"content": {"parts": [{"text": "Hi "}], "role": "model"}}]},
                    {
                        "candidates": [
                            {"content": {"parts": [{"text": "you"}], "role": "model"}, "finishReason": "STOP"}
                        ]
                    },
                ],
                option=orjson.OPT_INDENT_2,
            ),
            text="Hi you",
        ),
        Sample(
            "stopped by a filter, without content",
            asks(model="gemini-2.0-flash", stream=True),
            sse(
                {"candidates": [{"content": {"parts": [{"text": "Hi"}], "role": "model"}}]},
                {"candidates": [{"finishReason": "RECITATION", "index": 0}]},
                done=False,
            ),
            text="Hi",
            finish="content_filter",
        ),
    )

    def adapter(self) -> Adapter:
        return built("gemini", "https://generativelanguage.googleapis.com/v1beta")


IN_STREAM: dict[str, Any] = {"error": {"code": 400, "message": "Token limit reached"}}


@pytest.mark.parametrize("stream", [True, False])
def test_openrouter_tells_an_error_after_the_finish(stream: bool) -> None:
    """Recorded once in the field: two chunks with a finish, then the error in a chunk with usage, then [DONE]."""
    last = chunk({"role": "assistant", "content": ""}, usage=USAGE, **IN_STREAM)
    body = sse(chunk({"role": "assistant", "content": "Hi"}), *[chunk({"content": ""}, finish="length")] * 2, last)
    out, error = drained(built("openrouter"), body, stream=stream)
    assert error is not None
    assert error.code == "400"
    assert "Token limit reached" in error.message
    assert b"[DONE]" not in out
    assert b'finish_reason":"length' not in out


def test_openrouter_ends_a_tool_call_that_has_no_finish() -> None:
    tools = {
        "tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    }
    out, error = drained(built("openrouter"), sse(chunk({"role": "assistant", "content": None, **tools})), stream=True)
    assert error is None
    assert check_stream(out) == []
    assert read_stream(out).first.finish == "tool_calls"


def test_openrouter_s_failure_inside_a_choice_is_a_failure() -> None:
    body = completion("half")
    body["choices"][0] |= {"finish_reason": "error", "error": {"code": 502, "message": "Provider broke"}}
    _, error = drained(built("openrouter"), orjson.dumps(body))
    assert error is not None
    assert "Provider broke" in error.message


def test_old_llamacpp_s_error_field_is_an_error() -> None:
    body = (
        sse(chunk({"role": "assistant", "content": "Hi"}), done=False) + b'error: {"code":500,"message":"it broke"}\n\n'
    )
    _, error = drained(built("llamacpp"), body, stream=True)
    assert error is not None
    assert "it broke" in error.message


def test_llamacpp_s_progress_does_not_count_as_a_start() -> None:
    progress = chunk({"role": "assistant", "content": None}, prompt_progress={"total": 100, "processed": 50})
    translator = built("llamacpp").translator(Sample("", asks(stream=True), b"").chat)
    list(translator.feed(sse(progress, progress, done=False)))
    assert not translator.started


def test_google_s_compatible_errors_are_a_list() -> None:
    body = orjson.dumps([{"error": {"code": 400, "message": "No such model.", "status": "INVALID_ARGUMENT"}}])
    error = built("compatible").error(400, {}, body)
    assert error.message == "No such model."
    assert error.code == "400"


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER"])
def test_gemini_s_failure_without_a_word_is_a_failure(reason: str) -> None:
    body = sse({"candidates": [{"finishReason": reason, "index": 0}]}, done=False)
    _, error = drained(
        built("gemini", "https://generativelanguage.googleapis.com"), body, model="gemini-2.5-flash", stream=True
    )
    assert error is not None


def test_gemini_s_blocked_prompt_is_filtered_content() -> None:
    body = orjson.dumps({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}})
    out, error = drained(built("gemini", "https://generativelanguage.googleapis.com"), body, model="gemini-2.5-flash")
    assert error is None
    assert read_json(out).first.finish == "content_filter"


def test_gemini_s_numbers_for_a_finish_are_tolerated() -> None:
    event = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": 1}]}
    out, error = drained(
        built("gemini", "https://generativelanguage.googleapis.com"), orjson.dumps(event), model="gemini-2.5-flash"
    )
    assert error is None
    assert read_json(out).first.finish == "stop"


def test_gemini_may_say_stop_with_every_event() -> None:
    """Older models do: no end may be told before the stream's own."""
    events = [
        {"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}]} for text in ("Hi ", "you")
    ]
    body = sse(*events, done=False)
    out, error = drained(
        built("gemini", "https://generativelanguage.googleapis.com"), body, model="gemini-2.0-flash", stream=True
    )
    assert error is None
    assert check_stream(out) == []
    assert read_stream(out).first.text == "Hi you"


def test_bytes_that_are_no_text_do_not_reach_the_client() -> None:
    body = sse(chunk({"role": "assistant", "content": "Hi"}), STOP).replace(b"Hi", b"H\xff")
    out, _ = drained(built("compatible"), body, stream=True)
    out.decode()


def test_nan_in_log_probabilities_is_tolerated() -> None:
    body = sse(chunk({"role": "assistant", "content": "Hi"}), STOP).replace(
        b'"logprobs":null', b'"logprobs":{"content":[{"token":"Hi","logprob":NaN,"bytes":null,"top_logprobs":[]}]}', 1
    )
    out, error = drained(built("compatible"), body, stream=True)
    assert error is None
    assert b"NaN" not in out
    assert read_stream(out).first.text == "Hi"
