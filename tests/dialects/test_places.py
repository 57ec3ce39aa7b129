"""A refusal of a translated request names the client's own field, in the message and in `param`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from llmproxy.config import Config, Provider
from llmproxy.core.errors import BadRequest
from llmproxy.core.places import Places
from llmproxy.testing import FakeProvider
from tests.in_loop import Served, served

Json = dict[str, Any]

URL = "ftp://example.com/a.png"  # neither Gemini nor Claude takes it


class Case(NamedTuple):
    """A request that the adapter refuses, and the place that it must name."""

    path: str
    body: Json
    where: str
    provider: str = "gemini"


CHAT: Json = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": URL}}]},
    ]
}
WORDS = {"type": "input_text", "text": "Hi"}
PICTURE = {"type": "input_image", "image_url": URL}
HELLO = {"type": "message", "role": "user", "content": "Hello"}
CALL = {"type": "function_call", "call_id": "a", "name": "look", "arguments": "{}"}
LOOK = {"type": "tool_use", "id": "a", "name": "look", "input": {}}
IMAGE = {"type": "image", "source": {"type": "url", "url": URL}}
TEXT = {"type": "text", "text": "Hi"}
FILE = {"fileData": {"mimeType": "image/png", "fileUri": URL}}

CASES = {
    "chat": Case("/v1/chat/completions", CHAT, "messages[1].content[1]"),
    "a part of a response's input": Case(
        "/v1/responses",
        {"instructions": "Be brief.", "input": [HELLO, {"role": "user", "content": [WORDS, PICTURE]}]},
        "input[1].content[1]",
    ),
    "a part after dropped reasoning": Case(
        "/v1/responses",
        {"input": [{"type": "item_reference", "id": "rs_1"}, {"role": "user", "content": [PICTURE]}]},
        "input[1].content[0]",
    ),
    "the result of a call": Case(
        "/v1/responses",
        {"input": [HELLO, CALL, {"type": "function_call_output", "call_id": "a", "output": [PICTURE]}]},
        "input[2].output[0]",
    ),
    "a part of instructions": Case(
        "/v1/responses",
        {"instructions": [{"role": "user", "content": [PICTURE]}], "input": "Hi"},
        "instructions[0].content[0]",
    ),
    "a block of a message": Case(
        "/v1/messages",
        {"system": "Be brief.", "messages": [{"role": "user", "content": [TEXT, IMAGE]}]},
        "messages.0.content.1",
    ),
    "a block after a joined message": Case(
        "/v1/messages",
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "user", "content": [TEXT, IMAGE]}]},
        "messages.1.content.1",
    ),
    "a tool's result": Case(
        "/v1/messages",
        {
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": [LOOK]},
                {"role": "user", "content": [TEXT, {"type": "tool_result", "tool_use_id": "a", "content": [IMAGE]}]},
            ]
        },
        "messages.2.content.1",
    ),
    "a part of contents": Case(
        "/v1beta/models/anthropic/m:generateContent",
        {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "Hi"}]},
                {"role": "model", "parts": [{"text": "Hello"}]},
                {"role": "user", "parts": [{"text": "Look"}, {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}]},
            ],
        },
        "contents[2].parts[1]",
        "anthropic",
    ),
}  # fmt: skip


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as made:
        yield made


@pytest.fixture
async def gateway(provider: FakeProvider) -> AsyncIterator[Served]:
    def one(name: str) -> Provider:
        return Provider(name, name, provider.url + "/v1", "k", models=("m",), list_models=False, retries=0)

    names = ("compatible", "anthropic", "gemini")
    async with served(Config(providers=tuple(map(one, names)))) as made:
        yield made


async def refusal(gateway: Served, path: str, body: Json) -> tuple[int, Json]:
    async with gateway.client.post(gateway.url + path, json=body) as answer:
        return answer.status, (await answer.json(content_type=None))["error"]


@pytest.mark.parametrize("name", CASES)
async def test_an_adapters_refusal_names_the_clients_field(gateway: Served, name: str) -> None:
    case = CASES[name]
    named = {} if "models/" in case.path else {"model": f"{case.provider}/m", "max_tokens": 9}
    status, error = await refusal(gateway, case.path, {**case.body, **named})
    assert status == 400
    assert error["message"].startswith(f"{case.where}: ")
    assert error.get("param", case.where) == case.where  # Messages and Gemini have none


async def test_a_refused_count_names_the_clients_field(gateway: Served) -> None:
    case = CASES["a block of a message"]
    status, error = await refusal(gateway, "/v1/messages/count_tokens", {**case.body, "model": "gemini/m"})
    assert status == 400
    assert error["message"].startswith(f"{case.where}: ")


async def test_a_providers_refusal_names_the_clients_field(gateway: Served, provider: FakeProvider) -> None:
    said = {"message": "Bad image.", "type": "invalid_request_error", "param": "messages[2].content[1].image_url"}
    provider.fails(400, {"error": said})
    case = CASES["a part of a response's input"]
    status, error = await refusal(gateway, case.path, {**case.body, "model": "compatible/m"})
    assert (status, error["message"], error["param"]) == (400, "Bad image.", case.where)


async def test_a_refused_option_has_the_clients_name(gateway: Served, provider: FakeProvider) -> None:
    said = {"message": "Too many.", "type": "invalid_request_error", "param": "max_completion_tokens"}
    provider.fails(400, {"error": said})
    body = {"model": "compatible/m", "input": "Hi", "max_output_tokens": 9}
    _, error = await refusal(gateway, "/v1/responses", body)
    assert error["param"] == "max_output_tokens"


PLACES = Places({"messages": "input", "response_format": "text.format", "stop": "stop_sequences"})
PART: Json = {"type": "text", "text": "Hi"}
MESSAGE = PLACES.keep(
    {"role": "user", "content": [PART, PLACES.keep({"type": "file"}, "input[3].content[0]")]}, "input[3]"
)
BODY: Json = {"messages": [MESSAGE, {"role": "user", "content": "unknown"}], "stop": ["a"], "tools": [{}]}


@pytest.mark.parametrize(
    ("param", "place"),
    {
        "messages[0].content[1].file.file_data": "input[3].content[0]",
        "messages[0].content[0].text": "input[3]",
        "messages.[0].role": "input[3]",
        "messages[1].content": "input",
        "messages[9]": "input",
        "messages": "input",
        "tools[0].function.name": "tools",
        "response_format.json_schema.schema": "text.format",
        "temperature": "temperature",
        "stop": "stop_sequences",
    }.items(),
)
def test_the_nearest_known_place_is_named(param: str, place: str) -> None:
    assert PLACES.name(BODY, param) == place


def test_the_message_of_a_refusal_has_the_clients_names() -> None:
    error = BadRequest("messages[0].content[1]: no file. See 'stop' and `response_format`.", param="messages[0]")
    PLACES.rename(BODY, error)
    assert error.message == "input[3].content[0]: no file. See 'stop_sequences' and `text.format`."
