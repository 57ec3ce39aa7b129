"""The address of a provider as people copy it: of one endpoint, with a query, with slashes at its end."""

from __future__ import annotations

import pytest

from llmproxy.core import adapter_registry
from llmproxy.core.adapter import Account
from llmproxy.core.chat import Chat, Face

HOST = "https://x.example"


def urls(adapter: str, base_url: str, face: Face = "chat") -> tuple[str, str]:
    """Where a chat and the list of models are asked."""
    built = adapter_registry.build(adapter, Account("x", base_url))
    chat = Chat({"model": "m", "messages": [{"role": "user", "content": "?"}], "input": "?"}, "m", face)
    return built.request(chat).url.removeprefix(HOST), built.models_request().url.removeprefix(HOST)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("base_url", "chat", "models"),
    [
        ("/v1", "/v1/chat/completions", "/v1/models"),
        ("/v1/", "/v1/chat/completions", "/v1/models"),
        ("/v1//", "/v1/chat/completions", "/v1/models"),
        ("/v1/chat/completions", "/v1/chat/completions", "/v1/models"),
        ("/v1/chat/completions/", "/v1/chat/completions", "/v1/models"),
        ("/v1/embeddings", "/v1/chat/completions", "/v1/models"),
        ("/v1/models", "/v1/chat/completions", "/v1/models"),
        ("/v1?tenant=a", "/v1/chat/completions?tenant=a", "/v1/models?tenant=a"),
        ("/v1/chat/completions?tenant=a&b=c%2F", "/v1/chat/completions?tenant=a&b=c%2F", "/v1/models?tenant=a&b=c%2F"),
        ("/v1?", "/v1/chat/completions", "/v1/models"),
    ],
)
@pytest.mark.parametrize("adapter", ["openai", "compatible", "openrouter", "llamacpp", "ollama", "vllm", "airefinery"])
def test_an_address_is_understood_as_it_was_meant(adapter: str, base_url: str, chat: str, models: str) -> None:
    assert urls(adapter, HOST + base_url) == (chat, models)


@pytest.mark.parametrize(
    ("adapter", "base_url"), [("llamacpp", ""), ("ollama", "/"), ("lmstudio", "?a=b"), ("airefinery", "")]
)
def test_a_server_of_ones_own_is_under_v1(adapter: str, base_url: str) -> None:
    assert urls(adapter, HOST + base_url)[0].startswith("/v1/chat/completions")


def test_perplexity_has_no_v1_for_chats() -> None:
    for base_url in (HOST, f"{HOST}/chat/completions", f"{HOST}/"):
        assert urls("perplexity", base_url) == ("/chat/completions", "/v1/models")
    assert urls("perplexity", HOST, "embeddings")[0] == "/v1/embeddings"
