"""How each provider is told which requests belong to one conversation."""

from __future__ import annotations

import re

import orjson
import pytest

from llmproxy.core import adapter_registry
from llmproxy.core.adapter import Account, Adapter, Outgoing
from llmproxy.core.chat import Chat, Face, whole
from llmproxy.core.errors import UpstreamError
from llmproxy.core.trace import Trace
from llmproxy.dialects import find

CONVERSATION = b"0123456789abcdef"
MEMBERS = [("openai", "prompt_cache_key"), ("openrouter", "session_id"), ("mistral", "prompt_cache_key")]
HEADERS = [("fireworks", "x-session-affinity"), ("xai", "x-grok-conv-id")]


def adapter(name: str, key: str = "secret", **options: object) -> Adapter:
    return adapter_registry.build(name, Account(name, "https://service.example/v1", key, options=options))


def asked(one: Adapter, conversation: bytes | None = CONVERSATION, **members: object) -> Outgoing:
    body = {"model": "m", "messages": [{"role": "user", "content": "A secret plan"}], **members}
    outgoing = one.request(Chat(body, "m", raw=orjson.dumps(body), trace=Trace(conversation=conversation)))
    assert isinstance(outgoing, Outgoing)
    return outgoing


def said(outgoing: Outgoing) -> dict[str, object]:
    found: dict[str, object] = orjson.loads(whole(outgoing.body))
    return found


@pytest.mark.parametrize(("name", "member"), MEMBERS)
@pytest.mark.parametrize("stream", [True, False])
def test_a_member_names_the_conversation(name: str, member: str, stream: bool) -> None:
    told = said(asked(adapter(name), stream=stream))[member]
    assert re.fullmatch("[0-9a-f]{32}", str(told))
    assert said(asked(adapter(name), stream=stream))[member] == told
    assert said(asked(adapter(name), b"another", stream=stream))[member] != told


@pytest.mark.parametrize(("name", "header"), HEADERS)
def test_a_header_names_the_conversation(name: str, header: str) -> None:
    outgoing = asked(adapter(name))
    assert re.fullmatch("[0-9a-f]{32}", outgoing.headers[header])
    assert said(outgoing).keys() <= {"model", "messages", "stream", "stream_options"}
    assert header not in asked(adapter(name), None).headers


@pytest.mark.parametrize(("name", "member"), MEMBERS)
def test_nothing_is_said_where_no_conversation_is_known(name: str, member: str) -> None:
    assert member not in said(asked(adapter(name), None))


@pytest.mark.parametrize(("name", "member"), MEMBERS)
def test_the_clients_own_name_stays(name: str, member: str) -> None:
    assert said(asked(adapter(name), CONVERSATION, **{member: "mine"}))[member] == "mine"


@pytest.mark.parametrize("own", ["prompt_cache_key", "user"])
def test_fireworks_is_told_nothing_beside_what_the_client_tells_it(own: str) -> None:
    assert "x-session-affinity" not in asked(adapter("fireworks"), CONVERSATION, **{own: "mine"}).headers


def test_the_name_is_of_the_provider_and_its_key_so_that_nobody_else_can_make_it() -> None:
    names = {said(asked(adapter("openai", key)))["prompt_cache_key"] for key in ("one", "two", "")}
    assert len(names) == 3
    assert CONVERSATION.hex() not in names


def test_openais_responses_are_named_too_and_the_clients_bytes_kept() -> None:
    raw = b'{"model": "mix",  "input": "Hi"}'
    chat = Chat(
        orjson.loads(raw), "m", "responses", raw, Trace(conversation=CONVERSATION), dialect=find("responses"),
    )  # fmt: skip
    body = whole(adapter("openai").request(chat).body)
    assert orjson.loads(body)["prompt_cache_key"]
    assert body.endswith(b',  "input": "Hi"}')


@pytest.mark.parametrize("face", ["completions", "embeddings"])
def test_what_is_no_conversation_is_not_named(face: Face) -> None:
    chat = Chat({"model": "m", "prompt": "Hi", "input": "Hi"}, "m", face, trace=Trace(conversation=CONVERSATION))
    assert "prompt_cache_key" not in said(adapter("openai").request(chat))


def test_a_service_that_refuses_the_name_is_not_told_again() -> None:
    one = adapter("openai")
    learn = getattr(one, "learn")  # noqa: B009  # an optional part of the contract
    chat = Chat({"model": "m", "messages": []}, "m", trace=Trace(conversation=CONVERSATION))
    assert not learn(chat, UpstreamError("Unknown parameter: 'seed'.", status=400, param="seed"))
    assert "prompt_cache_key" in said(asked(one))
    assert learn(chat, UpstreamError("Unknown parameter: 'prompt_cache_key'.", status=400))
    assert "prompt_cache_key" not in said(asked(one))


def test_llamacpp_is_given_a_slot_only_where_the_config_says_how_many_there_are() -> None:
    assert "id_slot" not in said(asked(adapter("llamacpp")))
    told = said(asked(adapter("llamacpp", slots=4)))
    assert told["id_slot"] in range(4)
    assert told["cache_prompt"] is True
    slots = {said(asked(adapter("llamacpp", slots=4), bytes([number])))["id_slot"] for number in range(64)}
    assert slots == {0, 1, 2, 3}


def test_a_slot_that_the_client_chose_stays() -> None:
    assert said(asked(adapter("llamacpp", slots=4), id_slot=7))["id_slot"] == 7
    assert "id_slot" not in said(asked(adapter("llamacpp", slots=4), cache_prompt=False))


@pytest.mark.parametrize("slots", [0, -1, True, "four", 1.5])
def test_a_wrong_number_of_slots_is_told(slots: object) -> None:
    with pytest.raises(ValueError, match="slots"):
        adapter("llamacpp", slots=slots)


@pytest.mark.parametrize("name", ["compatible", "perplexity", "gemini", "anthropic", "azure", "ollama", "vllm"])
def test_a_provider_that_knows_no_such_name_is_told_nothing(name: str) -> None:
    body = said(asked(adapter(name), max_tokens=5))
    assert not body.keys() & {"prompt_cache_key", "session_id", "id_slot", "cache_prompt"}
