"""Checks of members that must be passed on unchanged, known and unknown ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..samples import as_bytes, chunk, completion, sse
from ..validate import check_chat, check_models
from .harness import Check, Harness, clean, expect, in_order, taken
from .streams import ROLE, STOP, USAGE

UNKNOWN: dict[str, Any] = {"x_of_tomorrow": {"list": [1, 2.5, None, "é"], "big": 2**53 + 1}}
SOURCE = {
    "type": "url_citation",
    "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 5},
}
LOGPROBS: dict[str, Any] = {
    "content": [{"token": "Hello", "logprob": -0.5, "bytes": None, "top_logprobs": []}],
    "refusal": None,
}


async def known_fields(harness: Harness) -> str:
    return await _arrive(harness, {"temperature": 0.3, "seed": 7, "logit_bias": {"50": 5}, "max_completion_tokens": 5})


async def metadata(harness: Harness) -> str:
    return await _arrive(harness, {"metadata": {"a": "b"}})


async def unknown_fields(harness: Harness) -> str:
    return await _arrive(harness, UNKNOWN)


async def _arrive(harness: Harness, members: dict[str, Any]) -> str:
    harness.completes(completion())
    seen = await harness.ask(**members)
    expect(harness.asked, f"status {seen.status}: {seen.body[:100]!r}")
    sent = harness.asked[0].json
    lost = [key for key, value in members.items() if sent.get(key) != value]
    expect(not lost, f"lost or changed: {', '.join(f'{key} is {sent.get(key)}' for key in lost)}")
    return "unchanged"


async def parts_of_a_message(harness: Harness) -> str:
    harness.completes(completion())
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
    content = [{"type": "text", "text": "What is it?"}, picture]
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": content, "name": "ann"}]
    return await _arrive(harness, {"messages": messages})


async def response_fields(harness: Harness) -> str:
    harness.completes(completion(**UNKNOWN, service_tier="flex"))
    seen = await harness.ask()
    lost = [key for key in ("x_of_tomorrow", "service_tier") if key not in seen.answer.extras]
    expect(not lost, f"lost: {', '.join(lost)}")
    return "kept"


async def stream_fields(harness: Harness) -> str:
    sent_chunk = {**chunk({"content": "Hello", "x_delta": 1}), **UNKNOWN, "service_tier": "flex"}
    harness.streams(sse(ROLE, sent_chunk, STOP))
    answer = (await harness.stream()).answer
    found = {**answer.extras, **answer.first.extras}
    lost = [key for key in ("x_of_tomorrow", "service_tier", "x_delta") if key not in found]
    expect(not lost, f"lost: {', '.join(lost)}")
    return "kept"


async def whole_answer(harness: Harness) -> str:
    harness.completes(completion("Grüße 🌍", usage=USAGE))
    seen = await harness.ask()
    expect(seen.answer.first.text == "Grüße 🌍", f"text {seen.answer.first.text!r}")
    expect(
        seen.answer.usage and seen.answer.usage["total_tokens"] == USAGE["total_tokens"], f"usage {seen.answer.usage}"
    )
    in_order(check_chat(seen.body))
    return "as it should be"


async def members(harness: Harness) -> str:
    harness.completes(completion())
    clean(check_chat((await harness.ask()).body))
    return "all there"


async def whole_reasoning(harness: Harness) -> str:
    body = completion()
    body["choices"][0]["message"] |= {"reasoning_content": "Hm."}
    harness.completes(body)
    seen = await harness.ask()
    expect(seen.answer.first.reasoning == "Hm.", f"reasoning_content {seen.answer.first.reasoning!r}")
    return "kept"


async def citations(harness: Harness) -> str:
    harness.streams(sse(ROLE, chunk({"content": "Hello"}), chunk({"annotations": [SOURCE]}), STOP))
    got = (await harness.stream()).answer.first.annotations
    expect(got == [SOURCE], f"annotations {got}")
    return "kept"


async def refusals(harness: Harness) -> str:
    harness.streams(sse(ROLE, chunk({"refusal": "I will "}), chunk({"refusal": "not."}), STOP))
    got = (await harness.stream()).answer.first.refusal
    expect(got == "I will not.", f"refusal {got!r}")
    return "kept"


async def logprobs(harness: Harness) -> str:
    sent_chunk = chunk({"content": "Hello"})
    sent_chunk["choices"][0]["logprobs"] = LOGPROBS
    harness.streams(sse(ROLE, sent_chunk, STOP))
    got = (await harness.stream(logprobs=True)).answer.first.logprobs
    expect([one["token"] for one in got] == ["Hello"], f"logprobs {got}")
    return "kept"


async def models(harness: Harness) -> str:
    async with harness.send("GET", "/v1/models") as response:
        seen = await taken(response)
    expect(seen.status == 200, f"status {seen.status}")
    clean(check_models(seen.body))
    return "as it should be"


async def client_headers(harness: Harness) -> str:
    """The client's cookies, address and gateway key must not reach the provider."""
    harness.completes(completion())
    private = {"Cookie": "session=ours", "X-Forwarded-For": "192.0.2.7"}
    body = as_bytes({"model": harness.model, "messages": [{"role": "user", "content": "Hello"}]})
    async with harness.send("POST", "/v1/chat/completions", body, private) as response:
        await taken(response)
    expect(harness.asked, "the provider was not asked")
    leaked = _leaked(harness.asked[0].headers.values(), [*private.values(), *([harness.key] if harness.key else [])])
    expect(not leaked, f"sent on: {', '.join(leaked)}")
    return "nothing of the client's"


def _leaked(values: Iterable[str], secrets: Iterable[str]) -> list[str]:
    sent = list(values)
    return [secret for secret in secrets if any(secret in value for value in sent)]


CHECKS = [
    Check("shape", "every required member of an answer, null ones too", members),
    Check("fields", "known request fields reach the provider", known_fields),
    Check("fields", "metadata reaches the provider", metadata),
    Check("fields", "unknown request fields reach the provider", unknown_fields),
    Check("fields", "parts, names and roles of messages", parts_of_a_message),
    Check("fields", "unknown response fields", response_fields),
    Check("fields", "unknown stream fields", stream_fields),
    Check("fields", "nothing private of the client's reaches the provider", client_headers),
    Check("content", "a whole answer", whole_answer),
    Check("content", "reasoning_content of a whole answer", whole_reasoning),
    Check("content", "annotations", citations),
    Check("content", "refusals", refusals),
    Check("content", "logprobs", logprobs),
    Check("models", "the list of models", models, asks=False),
]
