"""Where Azure OpenAI is asked: its addresses have two forms, with and without a version."""

from __future__ import annotations

import orjson
import pytest
from llmproxy.adapters.azure import Azure

from llmproxy.core import adapter_registry
from llmproxy.core.adapter import Account
from llmproxy.core.chat import Chat
from llmproxy.core.errors import ModelNotFound
from llmproxy.core.trace import Trace
from llmproxy.dialects.responses.compact import parse_compact
from llmproxy.testing.contract import asks

ROOT = "https://x.openai.azure.com"
VERSION = "api-version=2024-10-21"


def azure(base_url: str, **options: object) -> Azure:
    adapter = adapter_registry.build("azure", Account("azure", base_url, "a-key", options=options))
    assert isinstance(adapter, Azure)
    return adapter


@pytest.mark.parametrize(
    ("base_url", "chat", "models"),
    [
        (ROOT, f"/openai/deployments/mine/chat/completions?{VERSION}", f"/openai/models?{VERSION}"),
        (f"{ROOT}/openai", f"/openai/deployments/mine/chat/completions?{VERSION}", f"/openai/models?{VERSION}"),
        (f"{ROOT}/openai/v1/", "/openai/v1/chat/completions", "/openai/v1/models"),
        (f"{ROOT}/openai/v1/chat/completions", "/openai/v1/chat/completions", "/openai/v1/models"),
        (f"{ROOT}/?x=1", f"/openai/deployments/mine/chat/completions?x=1&{VERSION}", f"/openai/models?x=1&{VERSION}"),
        (
            f"{ROOT}/openai/deployments/it",
            f"/openai/deployments/it/chat/completions?{VERSION}",
            f"/openai/models?{VERSION}",
        ),
        (
            f"{ROOT}/openai/deployments/it/chat/completions?api-version=2025-01-01",
            "/openai/deployments/it/chat/completions?api-version=2025-01-01",
            "/openai/models?api-version=2025-01-01",
        ),
    ],
)
def test_chats_and_models_have_paths_of_their_own(base_url: str, chat: str, models: str) -> None:
    adapter = azure(base_url)
    assert adapter.request(Chat(asks(), "mine")).url == ROOT + chat
    assert adapter.models_request().url == ROOT + models


def test_the_address_of_one_deployment_offers_it() -> None:
    assert [one.id for one in azure(f"{ROOT}/openai/deployments/it").known_models] == ["it"]


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        (ROOT, f"/openai/responses/compact?{VERSION}"),
        (f"{ROOT}/openai/v1", "/openai/v1/responses/compact"),
        (f"{ROOT}/openai/deployments/it", f"/openai/responses/compact?{VERSION}"),
    ],
)
def test_conversations_are_compacted_beside_the_deployments(base_url: str, path: str) -> None:
    """QuantumNous/new-api#4149: below a deployment Azure answers 404."""
    assert azure(base_url).request(parse_compact(b'{"model":"mine","input":"Hi"}', Trace())).url == ROOT + path


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("cheap/../expensive", "cheap%2F..%2Fexpensive"),
        ("a?b#c", "a%3Fb%23c"),
        ("größe", "gr%C3%B6%C3%9Fe"),
        ("a b", "a%20b"),
    ],
)
def test_a_deployments_name_is_one_step_of_the_path(model: str, path: str) -> None:
    assert (
        azure(ROOT).request(Chat(asks(), model)).url == f"{ROOT}/openai/deployments/{path}/chat/completions?{VERSION}"
    )


@pytest.mark.parametrize("model", ["", ".", ".."])
def test_a_name_that_would_lead_elsewhere_is_not_found(model: str) -> None:
    with pytest.raises(ModelNotFound):
        azure(ROOT).request(Chat(asks(), model))


def test_the_version_is_an_option() -> None:
    adapter = azure(ROOT, api_version="2025-04-01-preview")
    assert adapter.models_request().url.endswith("?api-version=2025-04-01-preview")


def test_the_key_goes_in_azures_own_header_to_the_list_as_well() -> None:
    asking = azure(ROOT).models_request()
    assert (asking.method, asking.headers["api-key"]) == ("GET", "a-key")
    assert "Authorization" not in asking.headers


def test_models_that_cannot_be_asked_are_left_out() -> None:
    entries = [
        {"id": "gpt-4o", "capabilities": {"inference": True}},
        {"id": "babbage-002", "capabilities": {"inference": False, "fine_tune": True}},
        {"id": "of-another-form"},
    ]
    listed, page = azure(ROOT).models(orjson.dumps({"data": entries}))
    assert ([model.id for model in listed], page) == (["gpt-4o", "of-another-form"], None)
