"""Other people's clients of Messages, Responses and Gemini's API, with models behind the gateway that know only chat or Gemini.

Each is a real SDK in a process of its own. None of them may ask again in a loop, or take half an answer for a whole one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.environments import DIALECTS, HERE, NODE_MODULES, Environment
from tests.clients.house import House
from tests.clients.model import BEGINNING, FORECAST, GREETING, PICTURE
from tests.clients.openai_upstream import BUSY, LIMITED
from tests.clients.program import Client, Program, running_program
from tests.clients.questions import (
    ALL_WITH_TOOLS,
    BOTH,
    CUT,
    ENDLESS,
    GEMINI_WITH_IDS,
    ONE_ANSWER,
    ONE_CITY,
    OPENAI,
    TWO_ANSWERS,
    TWO_CITIES,
)

_USUAL = frozenset(("chat", "image", "stream", "tools", "cancel"))


def _client(name: str, environment: Environment, program: Path, *arguments: str, parses: bool = False) -> Client:
    verbs = _USUAL | ({"parse"} if parses else frozenset())
    return Client(name, environment, program, "", "", verbs, arguments=arguments)


def _python(library: str, api: str) -> Client:
    return _client(f"{library}-{api}", DIALECTS, HERE / "programs" / f"{library.replace('-', '_')}_client.py", api)


def _node(name: str, *, parses: bool = False) -> Client:
    return _client(f"{name}-node", NODE_MODULES, HERE / "node" / f"{name}.js", parses=parses)


CLIENTS = (
    _python("langchain-dialects", "anthropic"),
    _python("langchain-dialects", "responses"),
    _python("langchain-dialects", "google"),
    _python("pydantic-ai-dialects", "anthropic"),
    _python("pydantic-ai-dialects", "responses"),
    _python("pydantic-ai-dialects", "google"),
    _python("openai-agents", "responses"),
    _python("openai-agents", "chat"),
    _node("anthropic"),
    _node("openai-responses", parses=True),
    _node("google"),
    _node("vercel-anthropic"),  # it asks models that it does not know for JSON by a tool
)
PARSING = [one for one in CLIENTS if "parse" in one.verbs]


@pytest.fixture(scope="module", params=CLIENTS, ids=str)
def client(request: pytest.FixtureRequest, house: House) -> Iterator[Program]:
    with running_program(request.param, house) as program:
        yield program


@BOTH
def test_chats(client: Program, model: str) -> None:
    assert client.ask("chat", model, text="Hello") == {"text": GREETING, "usage": [11, 5]}


@BOTH
def test_streams_in_pieces_with_the_providers_usage(client: Program, model: str) -> None:
    reply = client.ask("stream", model, text="Hello")
    assert reply.pop("pieces", 0) > 3, reply
    assert reply == {"text": GREETING, "usage": [11, 5]}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@ALL_WITH_TOOLS
def test_tools_go_round_in_three_questions(client: Program, model: str, streamed: bool) -> None:
    """Gemini refuses a history without its thought signatures: they have come back in whatever form the client keeps."""
    if model == GEMINI_WITH_IDS and client.client.name == "langchain-dialects-google":
        pytest.skip("LangChain leaves out the ids of Gemini's calls, which this upstream insists on")
    asked = [TWO_CITIES, ONE_CITY, "Weather in Lima, Cairo"]
    reply = client.ask("tools", model, questions=asked, streamed=streamed)
    assert reply == {"answers": [TWO_ANSWERS, ONE_ANSWER, "Lima: 21 degrees; Cairo: 21 degrees"]}


@BOTH
def test_shows_a_picture(client: Program, model: str) -> None:
    assert client.ask("image", model, text="What is this?", data=PICTURE)["calls"] == ["Bergen"]


@pytest.mark.parametrize("client", PARSING, indirect=True, ids=str)
@BOTH
def test_parses_an_answer_by_a_schema(client: Program, model: str) -> None:
    assert client.ask("parse", model, text="Hello") == {"parsed": FORECAST}


@pytest.mark.parametrize("verb", ["chat", "stream"])
def test_a_limit_is_told_and_not_asked_again(client: Program, house: House, verb: str) -> None:
    with house.one_request():
        error = client.ask(verb, f"openai/{LIMITED}", text="Hello")["error"]
    assert error["status"] == 429 or "429" in error["message"] or "Slow down" in error["message"], error


@pytest.mark.parametrize("verb", ["chat", "stream"])
def test_an_overload_is_an_error(client: Program, verb: str) -> None:
    error = client.ask(verb, f"openai/{BUSY}", text="Hello")["error"]
    assert "overloaded" in error["message"].lower(), error


def test_a_stream_that_was_cut_is_an_error_and_asked_once(client: Program, house: House) -> None:
    with house.one_request():
        reply = client.ask("stream", CUT, text="Hello")
    assert "error" in reply, reply


def test_a_bad_key_is_an_error(client: Program) -> None:
    error = client.ask("chat", OPENAI, key="wrong", text="Hello")["error"]
    assert error["status"] == 401 or "401" in error["message"] or "API key" in error["message"], error


def test_cancelling_a_stream_stops_the_provider(client: Program, house: House) -> None:
    if client.client.name == "pydantic-ai-dialects-google":
        pytest.skip("a task of pydantic-ai's that is cancelled leaves Google's SDK with its connection open")
    with house.one_request() as asked:
        reply = client.ask("cancel", ENDLESS, text="Hello", until=BEGINNING)
    assert reply == {"text": BEGINNING}
    house.assert_closed(asked.result())
