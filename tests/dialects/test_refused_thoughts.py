"""State of earlier reasoning that a provider does not know again: asked once more without it, and the client is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from llmproxy.config import Config, Provider
from llmproxy.testing import FakeProvider, completion
from tests.dialects.streams import Json
from tests.in_loop import Served, served

SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "EqoB"}
CALL = {"type": "tool_use", "id": "a", "name": "look", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "a", "content": "sky"}
LOOK = {"name": "look", "input_schema": {"type": "object"}}
MESSAGES: Json = {
    "max_tokens": 9000,
    "thinking": {"type": "enabled", "budget_tokens": 2048},
    "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [SIGNED, CALL]},
        {"role": "user", "content": [RESULT]},
    ],
    "tools": [LOOK],
}
MESSAGE: Json = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "Yes"}],
    "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 5, "output_tokens": 2},
}  # fmt: skip
REASONING: Json = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
RESPONSES: Json = {
    "input": [
        {"type": "message", "role": "user", "content": "Hi"},
        REASONING,
        {"type": "function_call", "id": "fc_1", "call_id": "a", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "sky"},
    ],
    "store": False,
}
RESPONSE: Json = {
    "id": "resp_1", "object": "response", "status": "completed", "model": "m", "error": None,
    "output": [{
        "id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "Yes", "annotations": []}],
    }],
    "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7},
}  # fmt: skip
GEMINI: Json = {
    "contents": [
        {"role": "user", "parts": [{"text": "Hi"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {}}, "thoughtSignature": "QUJD"}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"output": "sky"}}}]},
    ]
}
CANDIDATE = {"candidates": [{"content": {"parts": [{"text": "Yes"}], "role": "model"}, "finishReason": "STOP"}]}
DETAIL = {"type": "reasoning.text", "text": "Hm.", "signature": "EqoB", "format": "anthropic-claude-v1"}
CHAT: Json = {
    "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hm", "reasoning_details": [DETAIL]},
        {"role": "user", "content": "Go on."},
    ]
}
GOOGLES = {"extra_content": {"google": {"thought_signature": "QUJD"}}}
TOOL_CALL = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
SIGNED_CHAT: Json = {
    "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hm", **GOOGLES, "tool_calls": [{**TOOL_CALL, **GOOGLES}]},
        {"role": "tool", "tool_call_id": "a", "content": "sky"},
    ]
}
CORRUPTED = "Corrupted thought signature."  # google-gemini/gemini-cli#13467
SIGNATURE = "messages.1.content.0: Invalid `signature` in `thinking` block"
BOUND = f"{SIGNATURE}. The block is bound to a different conversation. Remove the block."
CHANGED = (
    "messages.1.content.0: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified. "
    "These blocks must remain as they were in the original response."
)
ENCRYPTED = "The encrypted content gAAA...DQ== could not be verified."


def anthropics(message: str) -> Json:
    return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}


def openais(message: str, code: str | None = None) -> Json:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


def googles(message: str) -> Json:
    return {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}


class Case(NamedTuple):
    path: str
    body: Json
    refusal: Json
    answer: Json
    dropped: str


CASES = {
    "Anthropic": Case("/v1/messages", MESSAGES, anthropics(SIGNATURE), MESSAGE, "messages.thinking"),
    "Anthropic, another conversation": Case("/v1/messages", MESSAGES, anthropics(BOUND), MESSAGE, "messages.thinking"),
    "Anthropic, changed": Case("/v1/messages", MESSAGES, anthropics(CHANGED), MESSAGE, "messages.thinking"),
    "OpenAI": Case(
        "/v1/responses", RESPONSES, openais(ENCRYPTED, "invalid_encrypted_content"), RESPONSE, "input.reasoning"
    ),
    "OpenAI, by its words": Case("/v1/responses", RESPONSES, openais(ENCRYPTED), RESPONSE, "input.reasoning"),
    "Gemini": Case(
        "/v1beta/models/gemini/m:generateContent",
        GEMINI,
        googles("Thought signature is not valid."),
        CANDIDATE,
        "contents.parts.thoughtSignature",
    ),
    "a chat to Anthropic": Case(
        "/v1/chat/completions",
        {**CHAT, "model": "anthropic/m"},
        anthropics(SIGNATURE),
        MESSAGE,
        "messages.reasoning_details",
    ),
    "a chat to Gemini": Case(
        "/v1/chat/completions",
        {**SIGNED_CHAT, "model": "gemini/gemini-3-pro"},
        googles(CORRUPTED),
        CANDIDATE,
        "messages.extra_content",
    ),
    "a chat to OpenRouter": Case(
        "/v1/chat/completions",
        {**CHAT, "model": "openrouter/m"},
        openais(SIGNATURE),
        completion("Yes"),
        "messages.reasoning_details",
    ),
}
_ASKED = {"/v1/messages": "anthropic/m", "/v1/responses": "openai/m"}


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as made:
        yield made


@pytest.fixture
async def gateway(provider: FakeProvider) -> AsyncIterator[Served]:
    def one(name: str) -> Provider:
        return Provider(
            name, name, provider.url + "/v1", "k", models=("m", "gemini-3-pro"), list_models=False, retries=0
        )

    async with served(Config(providers=tuple(map(one, ("openai", "anthropic", "gemini", "openrouter"))))) as made:
        yield made


async def ask(gateway: Served, case: Case) -> tuple[int, Any, Any]:
    named = {"model": _ASKED[case.path]} if case.path in _ASKED else {}
    async with gateway.client.post(gateway.url + case.path, json={**named, **case.body}) as answer:
        return answer.status, answer.headers, await answer.json(content_type=None)


@pytest.mark.parametrize("name", CASES)
async def test_it_is_asked_once_more_without_and_told(gateway: Served, provider: FakeProvider, name: str) -> None:
    case = CASES[name]
    provider.fails(400, case.refusal)
    provider.answers(case.answer)
    status, headers, answer = await ask(gateway, case)
    assert (status, headers["x-llmproxy-dropped-params"]) == (200, case.dropped)
    assert "Yes" in str(answer)
    first, second = (str(one.body) for one in provider.exchanges)
    state = next(one for one in ("EqoB", "gAAA", "QUJD") if one in first)
    assert state not in second
    assert "look" in second or "Go on." in second


@pytest.mark.parametrize("name", CASES)
async def test_a_second_refusal_is_the_clients(gateway: Served, provider: FakeProvider, name: str) -> None:
    case = CASES[name]
    provider.fails(400, case.refusal)
    provider.fails(400, case.refusal)
    status, _, _ = await ask(gateway, case)
    assert (status, len(provider.exchanges)) == (400, 2)


@pytest.mark.parametrize("name", ["Anthropic", "OpenAI", "Gemini", "a chat to OpenRouter"])
async def test_any_other_refusal_is_the_clients_at_once(gateway: Served, provider: FakeProvider, name: str) -> None:
    provider.fails(400, openais("max_tokens is too large"))
    status, _, _ = await ask(gateway, CASES[name])
    assert (status, len(provider.exchanges)) == (400, 1)


async def test_a_call_whose_signature_was_refused_says_that_it_has_none(
    gateway: Served, provider: FakeProvider
) -> None:
    provider.fails(400, googles(CORRUPTED))
    provider.answers(CANDIDATE)
    await ask(gateway, CASES["a chat to Gemini"])
    signatures = [part.get("thoughtSignature") for part in provider.last.json["contents"][1]["parts"]]
    assert signatures == [None, "skip_thought_signature_validator"]


async def test_a_signature_that_the_gateway_remembered_is_forgotten_too(
    gateway: Served, provider: FakeProvider
) -> None:
    """Most clients of chat completions give none back."""
    call = {"functionCall": {"id": "a", "name": "look", "args": {}}, "thoughtSignature": "QUJD"}
    provider.answers({"candidates": [{"content": {"parts": [call], "role": "model"}, "finishReason": "STOP"}]})
    await ask(gateway, CASES["a chat to Gemini"])
    unsigned = [{**one, "tool_calls": [TOOL_CALL]} if "tool_calls" in one else one for one in SIGNED_CHAT["messages"]]
    del unsigned[1]["extra_content"]
    provider.fails(400, googles(CORRUPTED))
    provider.answers(CANDIDATE)
    case = CASES["a chat to Gemini"]
    status, headers, _ = await ask(gateway, case._replace(body={**case.body, "messages": unsigned}))
    assert (status, "x-llmproxy-dropped-params" in headers) == (200, False)
    assert ["QUJD" in str(one.body) for one in provider.exchanges[1:]] == [True, False]


async def test_without_its_thoughts_a_turn_that_goes_on_has_no_budget_for_new_ones(
    gateway: Served, provider: FakeProvider
) -> None:
    """Anthropic wants a turn with calls to begin with a thought, where thinking has a budget."""
    provider.fails(400, CASES["Anthropic"].refusal)
    provider.answers(MESSAGE)
    await ask(gateway, CASES["Anthropic"])
    assert "thinking" in provider.exchanges[0].json
    assert "thinking" not in provider.last.json


async def test_what_was_said_with_reasoning_goes_without_its_id(gateway: Served, provider: FakeProvider) -> None:
    provider.fails(400, CASES["OpenAI"].refusal)
    provider.answers(RESPONSE)
    await ask(gateway, CASES["OpenAI"])
    assert [item.get("id") for item in provider.last.json["input"]] == [None, None, None]


async def test_an_item_that_is_not_there_is_no_path_that_is_not_there(gateway: Served, provider: FakeProvider) -> None:
    """Responses would not be asked for again for a while, if a 404 about an item counted as one about the path."""
    text = "Item with id 'msg_9' not found. Items are not persisted when `store` is set to false."
    provider.fails(404, {"error": {"message": text, "type": "invalid_request_error", "param": "input", "code": None}})
    case = CASES["OpenAI"]
    assert (await ask(gateway, case))[0] == 404
    provider.answers(RESPONSE)
    assert (await ask(gateway, case))[0] == 200
    assert [one.path for one in provider.exchanges] == ["/v1/responses"] * 2
