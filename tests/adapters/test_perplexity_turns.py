"""A conversation as Perplexity takes it: system first, user and assistant in turn, the user last, each with a content."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from llmproxy.adapters.perplexity import Perplexity
from llmproxy.adapters.perplexity_turns import shaped

from llmproxy.core.adapter import Account
from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest


def system(content: Any = "s", role: str = "system") -> Json:
    return {"role": role, "content": content}


def user(content: Any = "u") -> Json:
    return {"role": "user", "content": content}


def says(content: Any = "a", **members: Any) -> Json:
    return {"role": "assistant", "content": content, **members}


CALL = {"id": "c", "type": "function", "function": {"name": "now", "arguments": '{"zone":"UTC"}'}}
CALLED = says(None, tool_calls=[CALL])
RESULT = {"role": "tool", "tool_call_id": "c", "content": "12:00"}
PICTURE = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ([user("a"), user("b")], [user("a\n\nb")]),
        ([user("a"), user([PICTURE])], [user([{"type": "text", "text": "a"}, PICTURE])]),
        ([user(), says("x"), says("y"), user()], [user(), says("x\n\ny"), user()]),
        ([system("d", "developer"), user()], [system("d"), user()]),
        ([user(), says(), system("later"), user("b")], [system("later"), user(), says(), user("b")]),
        ([system("1"), system("2"), user(), user()], [system("1"), system("2"), user("u\n\nu")]),
        ([user(), CALLED, RESULT], [user(), says('now({"zone":"UTC"})'), user("Result of now:\n\n12:00")]),
        (
            [user(), says("let me see", tool_calls=[CALL]), RESULT, user("and?")],
            [user(), says('let me see\n\nnow({"zone":"UTC"})'), user("Result of now:\n\n12:00\n\nand?")],
        ),
        ([user(), says(None), user("b")], [user("u\n\nb")]),
        ([says("hello"), user()], [user("."), says("hello"), user()]),
        ([user(), says(), user("")], BadRequest),
        ([user(), says()], BadRequest),
        ([system()], BadRequest),
        ([user("")], BadRequest),
    ],
)
def test_a_conversation_is_put_into_the_order_that_is_taken(
    given: list[Json], sent: list[Json] | type[Exception]
) -> None:
    if isinstance(sent, list):
        assert shaped(given) == sent
        assert shaped(sent) is sent
    else:
        with pytest.raises(sent):
            shaped(given)


@pytest.mark.parametrize("messages", [[user()], [system(), user(), says(), user([PICTURE])], []])
def test_one_that_is_in_order_stays_as_it_is(messages: list[Json]) -> None:
    assert shaped(messages) is messages


def test_whatever_order_there_was_the_rules_hold() -> None:
    kinds = [system(), user(), says(), CALLED, RESULT, says(None), user(""), system("d", "developer")]
    for number in range(len(kinds) ** 4):
        given = [kinds[number // len(kinds) ** at % len(kinds)] for at in range(4)]
        try:
            sent = shaped(given)
        except BadRequest:
            continue
        roles = [one["role"] for one in sent]
        turns = roles[roles.count("system") :]
        assert "system" not in turns
        assert turns == ["user", "assistant"] * (len(turns) // 2) + ["user"]
        assert all(one["content"] for one in sent)


def rendered(**members: Any) -> tuple[Json, list[str]]:
    chat = Chat({"model": "sonar", "messages": [user()], **members}, "sonar")
    body: Json = orjson.loads(Perplexity(Account("p")).request(chat).body)
    return body, chat.trace.dropped


def test_what_is_put_together_is_told() -> None:
    assert rendered(messages=[user(), user()])[1] == ["messages"]
    assert rendered(messages=[system("d", "developer"), user()])[1] == []


def test_tools_are_dropped_with_a_trace() -> None:
    body, dropped = rendered(tools=[{"type": "function"}], tool_choice="auto", parallel_tool_calls=True)
    assert body.keys().isdisjoint({"tools", "tool_choice", "parallel_tool_calls"})
    assert dropped == ["tools", "tool_choice", "parallel_tool_calls"]


@pytest.mark.parametrize(("asked", "sent"), [("none", "minimal"), ("low", "low"), ("xhigh", "high"), (None, None)])
def test_efforts_are_those_that_it_knows(asked: str | None, sent: str | None) -> None:
    assert rendered(reasoning_effort=asked)[0].get("reasoning_effort") == sent
