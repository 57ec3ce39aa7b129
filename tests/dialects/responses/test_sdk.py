"""OpenAI's own SDK against the gateway: create, stream and parse, as its users write them."""

from __future__ import annotations

import openai
import pytest
from pydantic import BaseModel

from llmproxy.config.values import Dialects
from llmproxy.testing import FakeProvider, completion
from tests.dialects.responses.house import USAGE, House, Open, said
from tests.dialects.streams import call


class City(BaseModel):
    name: str
    people: int


async def test_create_gives_the_text_and_the_usage(house: House, provider: FakeProvider) -> None:
    provider.answers({**completion("Hello"), "usage": USAGE})
    response = await house.sdk.responses.create(model="m", input="Hi", instructions="Be brief.", max_output_tokens=50)
    assert (response.output_text, response.status) == ("Hello", "completed")
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.total_tokens) == (50, 70)
    sent = provider.last.json
    assert sent["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert sent["max_completion_tokens"] == 50


async def test_stream_collects_the_whole_response(house: House, provider: FakeProvider) -> None:
    provider.streams(
        *said(
            {"reasoning_content": "Hm."},
            {"content": "Hel"},
            {"content": "lo"},
            call(0, "c", "look", "{}"),
            finish="tool_calls",
        )
    )
    async with house.sdk.responses.stream(
        model="m", input="Hi", tools=[{"type": "function", "name": "look", "parameters": {}, "strict": False}]
    ) as stream:
        deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        response = await stream.get_final_response()
    assert (deltas, response.output_text) == (["Hel", "lo"], "Hello")
    assert [one.type for one in response.output] == ["reasoning", "message", "function_call"]


async def test_parse_gives_an_object_of_the_wanted_type(house: House, provider: FakeProvider) -> None:
    provider.answers(completion('{"name":"Ulm","people":128000}'))
    response = await house.sdk.responses.parse(model="m", input="A city?", text_format=City)
    assert response.output_parsed == City(name="Ulm", people=128000)
    wanted = provider.last.json["response_format"]
    assert (wanted["type"], wanted["json_schema"]["name"], wanted["json_schema"]["strict"]) == (
        "json_schema",
        "City",
        True,
    )


async def test_a_model_that_nobody_has_is_a_bad_request(house: House, provider: FakeProvider) -> None:
    provider.fails(404, {"error": {"message": "There is no such model.", "code": "model_not_found"}})
    with pytest.raises(openai.BadRequestError) as caught:
        await house.sdk.responses.create(model="nobody/nothing", input="Hi")
    assert caught.value.code == "model_not_found"


async def test_a_cut_stream_raises(house: House, provider: FakeProvider) -> None:
    provider.cuts(said({"content": "Hel"})[0], after=10_000)
    with pytest.raises(Exception, match=r"response\.completed"):
        async with house.sdk.responses.stream(model="m", input="Hi") as stream:
            await stream.get_final_response()


async def test_it_can_be_switched_off(opened: Open) -> None:
    async with opened(dialects=Dialects(responses=False)) as house:
        for method, path in (("POST", ""), ("GET", "/resp_1"), ("POST", "/input_tokens")):
            status, body = await house.call(method, f"/v1/responses{path}", {"model": "m", "input": "Hi"})
            assert (status, body["error"]["code"]) == (404, "unknown_url")
