"""Checks of what must travel unchanged: members that a gateway knows, and members that it does not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..samples import as_bytes, chunk, completion, sse
from ..validate import check_chat, check_models
from .stage import Check, Stage, clean, expect, in_order, taken
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


async def known_fields(stage: Stage) -> str:
    return await _arrive(stage, {"temperature": 0.3, "seed": 7, "logit_bias": {"50": 5}, "max_completion_tokens": 5})


async def metadata(stage: Stage) -> str:
    return await _arrive(stage, {"metadata": {"a": "b"}})


async def unknown_fields(stage: Stage) -> str:
    return await _arrive(stage, UNKNOWN)


async def _arrive(stage: Stage, members: dict[str, Any]) -> str:
    stage.completes(completion())
    seen = await stage.ask(**members)
    expect(stage.asked, f"status {seen.status}: {seen.body[:100]!r}")
    sent = stage.asked[0].json
    lost = [key for key, value in members.items() if sent.get(key) != value]
    expect(not lost, f"lost or changed: {', '.join(f'{key} is {sent.get(key)}' for key in lost)}")
    return "unchanged"


async def parts_of_a_message(stage: Stage) -> str:
    stage.completes(completion())
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
    content = [{"type": "text", "text": "What is it?"}, picture]
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": content, "name": "ann"}]
    return await _arrive(stage, {"messages": messages})


async def response_fields(stage: Stage) -> str:
    stage.completes(completion(**UNKNOWN, service_tier="flex"))
    seen = await stage.ask()
    lost = [key for key in ("x_of_tomorrow", "service_tier") if key not in seen.answer.extras]
    expect(not lost, f"lost: {', '.join(lost)}")
    return "kept"


async def stream_fields(stage: Stage) -> str:
    said = {**chunk({"content": "Hello", "x_delta": 1}), **UNKNOWN, "service_tier": "flex"}
    stage.streams(sse(ROLE, said, STOP))
    answer = (await stage.stream()).answer
    found = {**answer.extras, **answer.first.extras}
    lost = [key for key in ("x_of_tomorrow", "service_tier", "x_delta") if key not in found]
    expect(not lost, f"lost: {', '.join(lost)}")
    return "kept"


async def whole_answer(stage: Stage) -> str:
    stage.completes(completion("Grüße 🌍", usage=USAGE))
    seen = await stage.ask()
    expect(seen.answer.first.text == "Grüße 🌍", f"text {seen.answer.first.text!r}")
    expect(
        seen.answer.usage and seen.answer.usage["total_tokens"] == USAGE["total_tokens"], f"usage {seen.answer.usage}"
    )
    in_order(check_chat(seen.body))
    return "as it should be"


async def members(stage: Stage) -> str:
    stage.completes(completion())
    clean(check_chat((await stage.ask()).body))
    return "all there"


async def whole_reasoning(stage: Stage) -> str:
    body = completion()
    body["choices"][0]["message"] |= {"reasoning_content": "Hm."}
    stage.completes(body)
    seen = await stage.ask()
    expect(seen.answer.first.reasoning == "Hm.", f"reasoning_content {seen.answer.first.reasoning!r}")
    return "kept"


async def citations(stage: Stage) -> str:
    stage.streams(sse(ROLE, chunk({"content": "Hello"}), chunk({"annotations": [SOURCE]}), STOP))
    got = (await stage.stream()).answer.first.annotations
    expect(got == [SOURCE], f"annotations {got}")
    return "kept"


async def refusals(stage: Stage) -> str:
    stage.streams(sse(ROLE, chunk({"refusal": "I will "}), chunk({"refusal": "not."}), STOP))
    got = (await stage.stream()).answer.first.refusal
    expect(got == "I will not.", f"refusal {got!r}")
    return "kept"


async def logprobs(stage: Stage) -> str:
    said = chunk({"content": "Hello"})
    said["choices"][0]["logprobs"] = LOGPROBS
    stage.streams(sse(ROLE, said, STOP))
    got = (await stage.stream(logprobs=True)).answer.first.logprobs
    expect([one["token"] for one in got] == ["Hello"], f"logprobs {got}")
    return "kept"


async def models(stage: Stage) -> str:
    async with stage.send("GET", "/v1/models") as response:
        seen = await taken(response)
    expect(seen.status == 200, f"status {seen.status}")
    clean(check_models(seen.body))
    return "as it should be"


async def client_headers(stage: Stage) -> str:
    """The client's cookies, address and key for the gateway are not the provider's business."""
    stage.completes(completion())
    private = {"Cookie": "session=ours", "X-Forwarded-For": "192.0.2.7"}
    body = as_bytes({"model": stage.model, "messages": [{"role": "user", "content": "Hello"}]})
    async with stage.send("POST", "/v1/chat/completions", body, private) as response:
        await taken(response)
    expect(stage.asked, "the provider was not asked")
    told = _told(stage.asked[0].headers.values(), [*private.values(), *([stage.key] if stage.key else [])])
    expect(not told, f"sent on: {', '.join(told)}")
    return "nothing of the client's"


def _told(values: Iterable[str], secrets: Iterable[str]) -> list[str]:
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
