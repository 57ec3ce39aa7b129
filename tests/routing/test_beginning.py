"""A conversation is known by its owner, its model, its system prompt and its first user message, in every dialect."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmproxy.core.chat import Chat, Face, Json
from llmproxy.dialects import find
from llmproxy.dialects.responses.dialect import Responses
from llmproxy.dialects.responses.known import Known
from llmproxy.routing.beginning import fingerprint

FACES: tuple[Face, ...] = ("chat", "messages", "responses", "gemini")
ROLES = {"gemini": ("user", "model")}


def turn(face: Face, number: int, text: str) -> Json:
    role = ROLES.get(face, ("user", "assistant"))[number % 2]
    if face == "gemini":
        return {"role": role, "parts": [{"text": text}]}
    kind = {"responses": ("input_text", "output_text")[number % 2]}.get(face, "text")
    return {"role": role, "content": [{"type": kind, "text": text}]}


def body(face: Face, system: str, *said: str) -> Json:
    turns = [turn(face, number, text) for number, text in enumerate(said)]
    if face == "chat":
        return {"messages": [{"role": "system", "content": system}, *turns]}
    if face == "messages":
        return {"max_tokens": 9, "system": [{"type": "text", "text": system}], "messages": turns}
    if face == "responses":
        return {"instructions": system, "input": turns}
    return {"systemInstruction": {"parts": [{"text": system}]}, "contents": turns}


def known(face: Face, system: str, *said: str, owner: str = "me", model: str = "mix") -> bytes | None:
    return fingerprint(Chat(body(face, system, *said), model, face, dialect=find(face)), owner)


@pytest.mark.parametrize("face", FACES)
def test_every_turn_of_a_conversation_is_known_as_its_first(face: Face) -> None:
    begun = known(face, "Be brief.", "Hi")
    assert begun is not None
    assert known(face, "Be brief.", "Hi", "Hello!", "And now?") == begun
    assert known(face, "Be brief.", "Hi", "Hello!", "And now?", "Later.", "Now?") == begun


@pytest.mark.parametrize("face", FACES)
def test_another_owner_model_system_prompt_or_first_message_is_another_conversation(face: Face) -> None:
    others = [
        known(face, "Be brief.", "Hi"),
        known(face, "Be brief.", "Hi", owner="you"),
        known(face, "Be brief.", "Hi", model="other"),
        known(face, "Be long.", "Hi"),
        known(face, "Be brief.", "Ho"),
        known(face, "Be brief.Hi", ""),
    ]
    assert len(set(others)) == len(others)


def test_a_plain_input_and_parts_of_text_say_the_same() -> None:
    plain = Chat({"instructions": "Be brief.", "input": "Hi"}, "mix", "responses", dialect=find("responses"))
    assert fingerprint(plain, "me") == known("responses", "Be brief.", "Hi")
    text = Chat({"messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hi"}]}, "mix")
    assert fingerprint(text, "me") == known("chat", "Be brief.", "Hi")


def test_geminis_only_message_needs_no_role() -> None:
    one = Chat({"contents": [{"parts": [{"text": "Hi"}]}]}, "mix", "gemini", dialect=find("gemini"))
    more = {"contents": [turn("gemini", 0, "Hi"), turn("gemini", 1, "Yes?"), turn("gemini", 0, "No")]}
    assert fingerprint(one, "me") == fingerprint(replace(one, body=more), "me")


def test_a_response_that_follows_on_another_begins_where_that_began() -> None:
    first = Chat({"instructions": "Be brief.", "input": "Hi"}, "mix", "responses", dialect=find("responses"))
    earlier = [turn("responses", 0, "Hi"), {"type": "message", **turn("responses", 1, "Hello!")}]
    second = {"instructions": "Be brief.", "input": "And now?", "previous_response_id": "resp_1"}
    dialect = Responses(Known("resp_2", earlier=earlier))
    assert fingerprint(replace(first, body=second, dialect=dialect), "me") == fingerprint(first, "me")


def test_what_claude_code_says_of_its_billing_belongs_to_no_conversation() -> None:
    """The block is different in each of its requests."""

    def asked(billing: str) -> bytes | None:
        system = [{"type": "text", "text": billing}, {"type": "text", "text": "You are an agent."}]
        told = {"system": system, "messages": [{"role": "user", "content": "Hi"}]}
        return fingerprint(Chat(told, "mix", "messages", dialect=find("messages")), "me")

    assert asked("x-anthropic-billing-header: cch=1;") == asked("x-anthropic-billing-header: cch=2;")


@pytest.mark.parametrize(("face", "asked"), [("embeddings", {"input": "Hi"}), ("completions", {"prompt": "Hi"})])
def test_what_is_no_conversation_is_known_by_nothing(face: Face, asked: Json) -> None:
    assert fingerprint(Chat(asked, "mix", face), "me") is None


@pytest.mark.parametrize(
    "asked", [{}, {"messages": None}, {"messages": [1, {"role": 3}]}, {"contents": 5, "system": 5}]
)
def test_nothing_in_a_strange_body_is_an_error(asked: Json) -> None:
    assert fingerprint(Chat(asked, "mix"), "me") is None
