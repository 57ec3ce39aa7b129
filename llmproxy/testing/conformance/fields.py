"""Checks of what must travel unchanged: members that a gateway knows, and members that it does not."""

from __future__ import annotations

from typing import Any

from ..samples import chunk, completion, sse
from ..validate import check_chat, check_models
from .stage import Check, Stage, clean, expect, taken
from .streams import PLAIN, ROLE, STOP, USAGE

UNKNOWN: dict[str, Any] = {"x_of_tomorrow": {"list": [1, 2.5, None, "é"], "big": 2**53 + 1}}
SOURCE = {
    "type": "url_citation",
    "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 5},
}
LOGPROBS: dict[str, Any] = {
    "content": [{"token": "Hello", "logprob": -0.5, "bytes": None, "top_logprobs": []}],
    "refusal": None,
}


async def request_fields(stage: Stage) -> str:
    stage.answers(completion())
    known = {"temperature": 0.3, "seed": 7, "logit_bias": {"50": 5}, "metadata": {"a": "b"}, "max_completion_tokens": 5}
    await stage.ask(**known, **UNKNOWN)
    expect(stage.asked, "the provider was not asked")
    sent = stage.asked[0].json
    lost = [key for key, value in {**known, **UNKNOWN}.items() if sent.get(key) != value]
    expect(not lost, f"lost or changed: {', '.join(lost)}")
    return "all of them"


async def parts_of_a_message(stage: Stage) -> str:
    stage.answers(completion())
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
    content = [{"type": "text", "text": "What is it?"}, picture]
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": content, "name": "ann"}]
    await stage.ask(messages=messages)
    expect(stage.asked and stage.asked[0].json.get("messages") == messages, "messages differ")
    return "unchanged"


async def response_fields(stage: Stage) -> str:
    stage.answers(completion(**UNKNOWN, service_tier="flex"))
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
    stage.answers(completion("Grüße 🌍", usage=USAGE))
    seen = await stage.ask()
    expect(seen.answer.first.text == "Grüße 🌍", f"text {seen.answer.first.text!r}")
    expect(
        seen.answer.usage and seen.answer.usage["total_tokens"] == USAGE["total_tokens"], f"usage {seen.answer.usage}"
    )
    clean(check_chat(seen.body))
    return "as it should be"


async def whole_reasoning(stage: Stage) -> str:
    body = completion()
    body["choices"][0]["message"] |= {"reasoning_content": "Hm."}
    stage.answers(body)
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
    """The client's key for the gateway is not the provider's business."""
    stage.streams(PLAIN)
    await stage.stream()
    expect(stage.asked, "the provider was not asked")
    sent = stage.asked[0].headers
    ours = [name for name in ("cookie", "x-forwarded-for", "x-conversation-id") if name in sent]
    expect(not ours, f"sent on: {', '.join(ours)}")
    expect(
        "gzip" not in sent.get("accept-encoding", ""), f"a compressed stream is asked for: {sent['accept-encoding']}"
    )
    return "identity encoding, nothing of the client's"


CHECKS = [
    Check("fields", "request fields, known and unknown, reach the provider", request_fields),
    Check("fields", "parts, names and roles of messages", parts_of_a_message),
    Check("fields", "unknown response fields", response_fields),
    Check("fields", "unknown stream fields", stream_fields),
    Check("fields", "headers sent to the provider", client_headers),
    Check("content", "a whole answer", whole_answer),
    Check("content", "reasoning_content of a whole answer", whole_reasoning),
    Check("content", "annotations", citations),
    Check("content", "refusals", refusals),
    Check("content", "logprobs", logprobs),
    Check("models", "the list of models", models),
]
