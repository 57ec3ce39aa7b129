"""Services as rows of a table: a key is enough, and each is asked as it wants to be."""

from __future__ import annotations

from urllib.parse import urlsplit

import orjson
import pytest
from llmproxy.adapters.presets import PRESETS

from llmproxy.config import load
from llmproxy.config.values import Provider
from llmproxy.core import adapter_registry
from llmproxy.core.adapter import Account, Outgoing
from llmproxy.core.chat import Chat

ANYWHERE = sorted(name for name, preset in PRESETS.items() if preset.base_url)
BY_ACCOUNT = sorted(set(PRESETS) - set(ANYWHERE))
HELLO = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


def asked(name: str, **members: object) -> Outgoing:
    adapter = adapter_registry.build(name, Account(name, "https://service.example/v1", "secret"))
    outgoing = adapter.request(Chat({**HELLO, **members}, "m"))
    assert isinstance(outgoing, Outgoing)
    return outgoing


def found(environ: dict[str, str]) -> list[Provider]:
    return [one for one in load(environ=environ).providers if one.name != "demo"]


@pytest.mark.parametrize("name", ANYWHERE)
def test_a_key_is_enough(name: str) -> None:
    for variable in PRESETS[name].keys:
        [one] = found({variable: "secret"})
        assert (one.name, one.base_url, one.api_key) == (name, PRESETS[name].base_url, "secret")


@pytest.mark.parametrize("name", ANYWHERE)
def test_addresses_are_encrypted_and_without_a_slash_at_their_end(name: str) -> None:
    url = PRESETS[name].base_url
    assert (urlsplit(url).scheme, url.rstrip("/")) == ("https", url)


@pytest.mark.parametrize("name", BY_ACCOUNT)
def test_an_address_for_each_account_must_be_given_and_its_lack_is_said(name: str) -> None:
    key, address = PRESETS[name].keys[0], f"{name.upper()}_BASE_URL"
    config = load(environ={key: "secret"})
    assert [one.name for one in config.providers] == ["demo"]
    assert [note for note in config.notes if key in note and address in note]
    [one] = found({key: "secret", address: "https://mine.example/v1"})
    assert (one.name, one.base_url) == (name, "https://mine.example/v1")


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_chat_goes_out_with_the_key(name: str) -> None:
    outgoing = asked(name)
    assert outgoing.url == "https://service.example/v1/chat/completions"
    assert outgoing.headers["Authorization"] == "Bearer secret"


def test_no_variable_belongs_to_two_adapters() -> None:
    declared = [adapter_registry.load(name).environment for name in adapter_registry.names()]
    variables = [one for each in declared for one in (*each.keys, *each.base_urls)]
    assert len(variables) == len(set(variables))


@pytest.mark.parametrize("variable", ["HF_TOKEN", "GITHUB_TOKEN"])
def test_a_token_that_is_set_for_other_things_makes_no_provider(variable: str) -> None:
    assert found({variable: "secret"}) == []


def test_groq_gives_one_choice_at_a_time() -> None:
    assert not adapter_registry.load("groq").many


def test_mistral_is_told_the_limit_by_its_older_name() -> None:
    body = asked("mistral", max_completion_tokens=7).body
    assert body is not None
    sent = orjson.loads(body if isinstance(body, bytes) else b"".join(body))
    assert (sent.get("max_tokens"), "max_completion_tokens" in sent) == (7, False)
