"""Anthropic's own SDK against the gateway: create, stream, count and list, as its users write them."""

from __future__ import annotations

import anthropic
import pytest
from anthropic.types import MessageParam, ToolParam

from llmproxy.config import Alias, Config, Dialects, Key, Server
from llmproxy.testing import FakeProvider, completion
from tests.dialects.messages.house import USAGE, House, Open, said
from tests.dialects.streams import call

HI: list[MessageParam] = [{"role": "user", "content": "Hi"}]
LOOK: ToolParam = {"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {}}}


async def test_create_gives_the_text_and_the_usage(house: House, provider: FakeProvider) -> None:
    provider.answers({**completion("Hello"), "usage": USAGE})
    message = await house.sdk.messages.create(
        model="m", max_tokens=50, system="Be brief.", messages=HI, stop_sequences=["."]
    )
    assert [block.text for block in message.content if block.type == "text"] == ["Hello"]
    assert message.stop_reason == "end_turn"
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (40, 8, 2)
    assert usage.output_tokens == 20
    sent = provider.last.json
    assert sent["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert (sent["max_completion_tokens"], sent["stop"]) == (50, ["."])


async def test_stream_collects_the_whole_message(house: House, provider: FakeProvider) -> None:
    provider.streams(
        *said(
            {"reasoning_content": "Hm."},
            {"content": "Hel"},
            {"content": "lo"},
            call(0, "call_1", "look", '{"at":'),
            call(0, "", "", '"sky"}'),
            finish="tool_calls",
        )
    )
    async with house.sdk.messages.stream(model="m", max_tokens=50, messages=HI, tools=[LOOK]) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        message = await stream.get_final_message()
    assert text == "Hello"
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
    used = message.content[-1]
    assert used.type == "tool_use"
    assert (used.id, used.name, used.input) == ("call_1", "look", {"at": "sky"})
    assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == ("tool_use", 40, 20)


async def test_a_model_that_nobody_has_is_not_found(house: House, provider: FakeProvider) -> None:
    provider.fails(404, {"error": {"message": "The model 'nothing' does not exist.", "code": "model_not_found"}})
    with pytest.raises(anthropic.NotFoundError, match="model: nothing") as caught:
        await house.sdk.messages.create(model="fake/nothing", max_tokens=50, messages=HI)
    assert caught.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]
    assert caught.value.request_id


async def test_an_overload_is_anthropics_own_status(house: House, provider: FakeProvider) -> None:
    provider.fails(503, {"error": {"message": "busy"}})
    with pytest.raises(anthropic.InternalServerError) as caught:
        await house.sdk.messages.create(model="m", max_tokens=50, messages=HI)
    assert caught.value.status_code == 529
    assert caught.value.body["error"]["type"] == "overloaded_error"  # type: ignore[index]


async def test_a_cut_stream_raises(house: House, provider: FakeProvider) -> None:
    provider.cuts(said({"content": "Hel"})[0], after=10_000)
    with pytest.raises(anthropic.APIStatusError):
        async with house.sdk.messages.stream(model="m", max_tokens=50, messages=HI) as stream:
            await stream.get_final_message()


async def test_a_wrong_key_is_refused_for_good(opened: Open) -> None:
    async with opened(server=Server(keys=(Key("me", "right"),))) as house:
        with pytest.raises(anthropic.AuthenticationError, match="Incorrect API key") as caught:
            await house.sdk.messages.create(model="m", max_tokens=50, messages=HI)
        assert caught.value.response.headers["x-should-retry"] == "false"
        assert caught.value.body["error"]["type"] == "authentication_error"  # type: ignore[index]


async def test_tokens_are_estimated_without_asking_anybody(house: House, provider: FakeProvider) -> None:
    few = await house.sdk.messages.count_tokens(model="m", messages=HI)
    many = await house.sdk.messages.count_tokens(
        model="m", messages=[{"role": "user", "content": "word " * 1000}], system="Be brief.", tools=[LOOK]
    )
    assert 1 <= few.input_tokens < 100
    assert 1000 < many.input_tokens < 3000
    assert provider.exchanges == []


async def test_models_are_listed_in_anthropics_form(house: House) -> None:
    page = await house.sdk.models.list(limit=1)
    assert [model.id for model in page.data] == ["fake/m"]
    assert page.has_more is False
    assert (await house.sdk.models.retrieve("fake/m")).type == "model"


async def test_pages_of_the_models_list_meet(opened: Open) -> None:
    aliases = {name: Alias(name, chain=("fake/m",)) for name in ("a", "b", "c", "d")}
    async with opened(aliases=aliases) as house:
        assert [model.id async for model in house.sdk.models.list(limit=2)] == ["a", "b", "c", "d", "fake/m"]
        before = await house.sdk.models.list(limit=2, before_id="d")
        assert [model.id for model in before.data] == ["b", "c"]


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("POST", "/v1/messages/batches", 404, "not_found_error"),
        ("GET", "/v1/messages", 405, "invalid_request_error"),
    ],
)
async def test_a_wrong_path_or_method_is_told_in_anthropics_form(
    house: House, method: str, path: str, status: int, kind: str
) -> None:
    told, answer = await house.call(method, path)
    assert (told, answer["type"], answer["error"]["type"]) == (status, "error", kind)


async def test_a_dialect_that_is_switched_off_is_not_there(opened: Open) -> None:
    async with opened(dialects=Dialects(messages=False)) as house:
        with pytest.raises(anthropic.NotFoundError):
            await house.sdk.messages.create(model="m", max_tokens=50, messages=HI)


def test_the_config_switches_dialects() -> None:
    assert Config().dialects.messages
