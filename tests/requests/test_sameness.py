"""Which requests are the same, and which are answered for themselves."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.core.chat import Chat, Face, Json
from llmproxy.dialects import find
from llmproxy.dialects.gemini.dialect import AS_LIST
from llmproxy.requests.sameness import Plan, cache_options, is_deterministic, plan

ASK: Json = {"model": "fast", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0}
ON = cache_options("on", "")


def chat(body: Json = ASK, model: str = "fast", face: Face = "chat", **more: Any) -> Chat:
    return Chat(body, model, face, dialect=find(face), **more)


def key(asked: Chat, owner: str | None = "me", targets: tuple[str, ...] = ("a/m",)) -> bytes:
    found = plan(asked, ON, (), owner, targets)
    assert found is not None
    return found.key


@pytest.mark.parametrize(
    "body",
    [
        {**ASK, "user": "somebody"},
        {**ASK, "safety_identifier": "x", "prompt_cache_key": "y", "session_id": "z", "metadata": {"run": "7"}},
        dict(reversed(ASK.items())),
    ],
)
def test_who_asks_and_the_order_of_members_make_no_difference(body: Json) -> None:
    assert key(chat(body)) == key(chat())


@pytest.mark.parametrize(
    "other",
    [
        chat({**ASK, "temperature": 0.1}),
        chat({**ASK, "max_tokens": 9}),
        chat({**ASK, "stream": True}),
        chat({**ASK, "messages": [{"role": "user", "content": "Hi "}]}),
        chat(model="slow"),
        chat(face="messages"),
        chat(headers={"anthropic-beta": "x"}),
    ],
)
def test_anything_that_may_change_the_answer_makes_another_request(other: Chat) -> None:
    assert key(other) != key(chat())


def test_other_keys_and_other_targets_are_other_requests() -> None:
    assert len({key(chat(), "me"), key(chat(), "you"), key(chat(), None), key(chat(), "")}) == 4
    assert key(chat(), targets=("a/m", "b/m")) != key(chat())
    assert key(chat(), targets=("a/m", "b/m")) == key(chat(), targets=("b/m", "a/m")), "their order is of the moment"


def test_geminis_array_is_another_answer_than_its_events() -> None:
    events = Chat(ASK, "fast", "gemini", dialect=find("gemini"), streaming=True)
    array = Chat(ASK, "fast", "gemini", dialect=AS_LIST, streaming=True)
    assert key(events) != key(array)


def test_what_responses_repeats_in_its_answer_makes_a_difference() -> None:
    asked = {"model": "fast", "input": "Hi", "store": False}
    assert key(chat({**asked, "user": "me"}, face="responses")) != key(chat(asked, face="responses"))


@pytest.mark.parametrize(
    ("face", "body", "expected"),
    [
        ("chat", {"temperature": 0}, True),
        ("chat", {"temperature": 0.0}, True),
        ("chat", {"temperature": 0.1}, False),
        ("chat", {"temperature": None}, False),
        ("chat", {"temperature": False}, False),
        ("chat", {"temperature": "0"}, False),
        ("chat", {"seed": 1}, False),
        ("messages", {"temperature": 0}, True),
        ("responses", {"temperature": 0}, True),
        ("gemini", {"generationConfig": {"temperature": 0}}, True),
        ("gemini", {"generation_config": {"temperature": 0}}, True),
        ("gemini", {"temperature": 0}, False),
        ("gemini", {"generationConfig": 5}, False),
        ("embeddings", {"input": "x"}, True),
    ],
)
def test_a_request_is_deterministic_at_temperature_0(face: Face, body: Json, expected: bool) -> None:
    assert is_deterministic(chat(body, face=face)) is expected


@pytest.mark.parametrize(
    ("header", "control", "model", "temperature", "takes_part"),
    [
        (None, "", "fast", 0, True),
        (None, "", "fast", 1, False),
        (None, "", "other", 0, False),
        ("on", "", "other", 1, True),
        ("off", "", "fast", 0, False),
        ("on", "no-store", "fast", 0, False),
        (None, "max-age=0, No-Store", "fast", 0, False),
        (None, "no-cache", "fast", 0, True),
    ],
)
def test_who_takes_part(header: str | None, control: str, model: str, temperature: int, takes_part: bool) -> None:
    asked = chat({**ASK, "temperature": temperature}, model)
    assert (plan(asked, cache_options(header, control), ("fa*",), "me", ()) is not None) is takes_part


def test_who_wants_a_fresh_answer_does_not_look_for_one() -> None:
    fresh = plan(chat(), cache_options("on", "no-cache"), (), "me", ())
    assert fresh == Plan(key(chat(), targets=()), look=False)


@pytest.mark.parametrize(
    "more", [{"store": True}, {}, {"store": False, "previous_response_id": "r"}, {"store": False, "background": True}]
)
def test_responses_that_keep_or_follow_a_state_are_answered_for_themselves(more: Json) -> None:
    asked = chat({"model": "fast", "input": "Hi", **more}, face="responses")
    assert plan(asked, ON, (), "me", ()) is None
