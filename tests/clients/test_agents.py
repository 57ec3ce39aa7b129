"""Coding agents work with any provider as with their own: commands, files, pictures, and reasoning that comes back as it was.

Each agent works with a provider of each of its dialects, where everything is passed on, and with one of another dialect,
where everything is translated. All tests of one pair are about the same run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.agent import Agent, installed
from tests.clients.coding_agents import EVERY
from tests.clients.wires.turn import Turn, seal
from tests.clients.workplace import (
    AFTER,
    AS_SENT,
    DONE,
    HELLO,
    NATIVE,
    THOUGHTS,
    Run,
    Workplace,
    a_days_work,
    running_workplace,
)
from tests.waiting import until

pytestmark = [
    pytest.mark.skipif(not os.environ.get("CI"), reason="coding agents run where CI is set"),
    pytest.mark.timeout(180),
]
TRANSLATED = (
    ("claude-code", "gemini"),
    ("claude-code", "openai"),
    ("codex", "anthropic"),
    ("opencode responses", "anthropic"),
    ("copilot messages", "gemini"),
    ("pi chat", "gemini"),
    ("qwen-code", "gemini"),
    ("gemini-cli", "anthropic"),
)
NAMED = {agent.name: agent for agent in EVERY}
PAIRS = [
    *((agent, NATIVE[agent.dialect]) for agent in EVERY),
    *((NAMED[name], provider) for name, provider in TRANSLATED),
]
SEALED = ("anthropic", "openai", "gemini")
MARK = b"llmproxy.1."


@pytest.fixture(scope="module")
def place() -> Iterator[Workplace]:
    with running_workplace() as made:
        yield made


@pytest.fixture(scope="module", params=PAIRS, ids=lambda pair: f"{pair[0]} with {pair[1]}")
def day(
    request: pytest.FixtureRequest, place: Workplace, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Agent, str, Run]:
    agent, provider = request.param
    if not installed(agent):
        pytest.skip("it is not installed: `make test-clients` installs it")
    return agent, provider, a_days_work(place, agent, provider, tmp_path_factory.mktemp("home"))


def test_it_works_to_the_end_and_shows_the_answer(day: tuple[Agent, str, Run]) -> None:
    _, _, run = day
    assert (run.ended.code, DONE in run.ended.output) == (0, True), run.ended.output
    assert [heard.turns for heard in run.heard] == [0, 1, 2, 3, 4]


def test_it_speaks_its_own_dialect(day: tuple[Agent, str, Run], place: Workplace) -> None:
    agent, _, run = day
    spoken = until(lambda: {event["face"] for event in _of_model(place, run)})
    assert spoken == {agent.dialect}


def _of_model(place: Workplace, run: Run) -> list[dict[str, Any]]:
    """What was logged since the run began, but for what the agent before it may have left running."""
    return [event for event in place.gateway.events("request")[run.before :] if event["model"] == run.desk.model]


def test_both_commands_of_one_turn_give_their_results(day: tuple[Agent, str, Run]) -> None:
    _, _, run = day
    told = " ".join(run.heard[1].results)
    assert ("result-0" in told, "result-1" in told, len(run.heard[1].results)) == (True, True, 2)


def test_the_file_is_changed_on_the_disk(day: tuple[Agent, str, Run]) -> None:
    _, _, run = day
    assert (run.desk.work / "poem.txt").read_text() == f"{AFTER}\n"


def test_a_picture_of_the_question_arrives_as_one(day: tuple[Agent, str, Run]) -> None:
    agent, _, run = day
    shown = [AS_SENT["attached"]] if agent.attach or agent.mention else []
    assert run.heard[0].images == shown


def test_a_picture_that_it_looks_at_arrives_as_one(day: tuple[Agent, str, Run]) -> None:
    agent, _, run = day
    new = run.heard[-1].images[len(run.heard[0].images) :]
    assert new == ([AS_SENT["seen"]] if agent.sees else [])


def test_what_the_provider_sealed_comes_back_as_it_was(day: tuple[Agent, str, Run]) -> None:
    """Signatures, encrypted content and thought signatures, with every further request of the turn."""
    _, provider, run = day
    if provider not in SEALED or "/chat/" in run.exchanges[0].path:
        assert not any(heard.seals for heard in run.heard)
        return
    assert [heard.seals for heard in run.heard] == [[seal(provider, at) for at in range(turn)] for turn in range(5)]


def test_thoughts_come_back_as_they_were(day: tuple[Agent, str, Run]) -> None:
    """Gemini wants only the signatures back, and OpenAI's chat completions have no thoughts."""
    _, provider, run = day
    if provider in ("anthropic", "llamacpp") or "/responses" in run.exchanges[0].path:
        assert [heard.thoughts for heard in run.heard] == [list(THOUGHTS[:turn]) for turn in range(5)]


def test_no_provider_sees_the_gateways_own_mark(day: tuple[Agent, str, Run]) -> None:
    _, _, run = day
    assert not [exchange.path for exchange in run.exchanges if MARK in exchange.body]


def test_another_providers_model_goes_on_without_what_was_sealed(day: tuple[Agent, str, Run], place: Workplace) -> None:
    """The conversation has reasoning of the provider before, in the gateway's own form: the next must not be given it."""
    agent, provider, run = day
    other = NATIVE[agent.dialect]
    if other == provider or not agent.resumes:
        pytest.skip("it goes on after a translated conversation, where it can be told to")
    further = place.ask(agent, other, run.desk.home, (Turn(text=HELLO),), *agent.resumes, asked="And now?")
    assert (further.ended.code, HELLO in further.ended.output) == (0, True), further.ended.output
    assert {exchange.path.split("/")[1] for exchange in further.exchanges} == {other}
    assert further.heard[0].turns == 4
    assert not {seal(provider, at) for at in range(4)} & {*further.heard[0].seals}
    assert not [exchange.path for exchange in further.exchanges if MARK in exchange.body]
