"""Other people's clients, each a real SDK in a process of its own, against the running gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.house import House
from tests.clients.model import BEGINNING, FORECAST, GREETING
from tests.clients.program import CLIENTS, Program, running_program
from tests.clients.questions import (
    ALL_WITH_TOOLS,
    BOTH,
    CUT,
    ENDLESS,
    GEMINI,
    ONE_ANSWER,
    ONE_CITY,
    OPENAI,
    TWO_ANSWERS,
    TWO_CITIES,
)


def having(verb: str) -> pytest.MarkDecorator:
    """Only the clients that can do this at all."""
    able = [client for client in CLIENTS if verb in client.verbs]
    return pytest.mark.parametrize("client", able, indirect=True, ids=str)


@pytest.fixture(scope="module", params=CLIENTS, ids=str)
def client(request: pytest.FixtureRequest, house: House) -> Iterator[Program]:
    with running_program(request.param, house) as program:
        yield program


@having("models")
def test_lists_the_models_of_every_provider(client: Program) -> None:
    assert {OPENAI, GEMINI, "demo/hello"} <= set(client.ask("models")["ids"])


@BOTH
def test_chats(client: Program, model: str) -> None:
    assert client.ask("chat", model, text="Hello") == {"text": GREETING, "usage": [11, 5]}


@BOTH
def test_streams_in_pieces_with_the_providers_usage(client: Program, model: str) -> None:
    reply = client.ask("stream", model, text="Hello")
    assert reply.pop("pieces", 0) > 3, reply
    assert reply == {"text": GREETING, "usage": [11, 5]}


@BOTH
def test_parses_an_answer_by_a_schema(client: Program, model: str) -> None:
    assert client.ask("parse", model, text="Hello") == {"parsed": FORECAST}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@ALL_WITH_TOOLS
def test_tools_go_round_in_two_questions(client: Program, model: str, streamed: bool) -> None:
    """The upstreams refuse a history that lost a call, a result, an id or a thought signature."""
    reply = client.ask("tools", model, questions=[TWO_CITIES, ONE_CITY], streamed=streamed)
    assert reply == {"answers": [TWO_ANSWERS, ONE_ANSWER]}


@pytest.mark.parametrize("verb", ["chat", "stream"])
def test_bad_key_is_an_error_of_the_right_class(client: Program, verb: str) -> None:
    error = client.ask(verb, OPENAI, key="wrong", text="Hello")["error"]
    assert client.client.bad_key in error["classes"], error
    assert (error["status"], error["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("verb", ["chat", "stream"])
@pytest.mark.parametrize("model", ["openai/no-such", "gemini/no-such", "no-such"])
def test_unknown_model_is_an_error_of_the_right_class(client: Program, model: str, verb: str) -> None:
    error = client.ask(verb, model, text="Hello")["error"]
    assert client.client.unknown_model in error["classes"], error
    assert (error["status"], error["code"]) == (client.client.unknown_status, "model_not_found")


def test_stream_that_was_cut_is_an_error_and_not_a_short_answer(client: Program) -> None:
    reply = client.ask("stream", CUT, text="Hello")
    assert "before it was complete" in reply["error"]["message"]


@having("stop")
def test_leaving_a_stream_stops_the_provider(client: Program, house: House) -> None:
    with house.one_request() as asked:
        reply = client.ask("stop", ENDLESS, text="Hello")
    assert reply["text"], reply
    assert BEGINNING.startswith(reply["text"])
    house.assert_closed(asked.result())


def test_cancelling_a_stream_stops_the_provider(client: Program, house: House) -> None:
    """The task that reads it is cancelled, or its signal is aborted; the client lives on."""
    with house.one_request() as asked:
        reply = client.ask("cancel", ENDLESS, text="Hello", until=BEGINNING)
    assert reply == {"text": BEGINNING}
    house.assert_closed(asked.result())
