"""Names of models that a key may not use: in no suggestion, refusal, header, metric or table that it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway import Gateway, running_gateway
from tests.server.asking import Said, ask

CONFIG = """
default_model = "hidden/hello"
[[server.keys]]
name = "root"
secret = "an-admins-key"
admin = true
[[server.keys]]
name = "alice"
secret = "a-limited-key"
models = ["demo/hello"]
[providers.demo]
options = { tokens_per_second = 4000 }
[providers.hidden]
adapter = "demo"
options = { tokens_per_second = 4000 }
[aliases]
both = ["hidden/hello", "demo/hello"]
secretly = "hidden/long"
[modes.quiet]
model = "hidden/long"
"""
ROOT, ALICE = {"X-Api-Key": "an-admins-key"}, {"X-Api-Key": "a-limited-key"}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway(CONFIG) as one:
        for model in ("hidden/hello", "demo/hello"):
            assert chat(one, model, ROOT).status == 200
        yield one


def chat(gateway: Gateway, model: str, key: dict[str, str]) -> Said:
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    return ask(gateway.url, "/v1/chat/completions", key, method="POST", body=body)


@pytest.mark.parametrize(
    "model", ["hidden/hello", "hidden/none", "secretly", "secretle", "long", "hello2", "hiden/helo"]
)
def test_what_a_key_may_not_use_is_refused_like_what_does_not_exist(gateway: Gateway, model: str) -> None:
    said = chat(gateway, model, ALICE)
    message = said.json["error"]["message"].replace(repr(model), "NAME")
    unknown = chat(gateway, "zzzz", ALICE).json["error"]["message"].replace(repr("zzzz"), "NAME")
    assert (said.status, said.code) == (404, "model_not_found")
    assert "hidden" not in message
    assert "secretly" not in message
    assert "providers here: demo." in message
    if "hello" not in model and "helo" not in model:
        assert message == unknown


def test_a_key_for_everything_is_still_given_suggestions(gateway: Gateway) -> None:
    message = chat(gateway, "hiden/hello", ROOT).json["error"]["message"]
    assert "hidden/hello" in message
    assert "providers here: demo, hidden." in message


def test_a_chain_names_only_what_the_key_may_use(gateway: Gateway) -> None:
    said = chat(gateway, "both", ALICE)
    assert said.status == 200
    assert (said.headers["X-LLMProxy-Provider"], said.headers["X-LLMProxy-Route"]) == ("demo", "both -> demo/hello")
    assert "hidden" not in str(said.headers)


@pytest.mark.parametrize("path", ["/metrics", "/api/metrics/performance", "/api/info", "/v1/models", "/v1/requests"])
def test_no_list_shows_them(gateway: Gateway, path: str) -> None:
    assert b"hidden" in ask(gateway.url, path, ROOT).body
    said = ask(gateway.url, path, ALICE)
    assert said.status == 200
    assert b"hidden" not in said.body
    assert b"secretly" not in said.body


def test_what_a_key_may_use_is_shown(gateway: Gateway) -> None:
    assert b'model="hello",outcome="ok",provider="demo"' in ask(gateway.url, "/metrics", ALICE).body
    models = ask(gateway.url, "/api/metrics/performance", ALICE).json["models"]
    assert [(one["provider"], one["model"]) for one in models] == [("demo", "hello")]
