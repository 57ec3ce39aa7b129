"""Adapters are checked when they are loaded: what is wrong is one sentence with the fix."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.adapter_kit import Environment, OpenAICompatible
from llmproxy.core import adapter_registry
from llmproxy.core.adapter_registry import misfit


class Least:
    """All of the contract, and nothing else."""

    environment = Environment()
    many = True
    first_frame = 1.0
    faces = frozenset(("chat",))

    def request(self, chat: Any) -> Any: ...
    def translator(self, chat: Any) -> Any: ...
    def error(self, status: int, headers: Any, body: bytes) -> Any: ...


def changed(**members: Any) -> type:
    return type("Changed", (Least,), members)


def test_the_contract_is_enough() -> None:
    assert misfit(Least) == ""


def test_a_subclass_of_few_lines_is_enough() -> None:
    assert misfit(type("Short", (OpenAICompatible,), {"environment": Environment()})) == ""


@pytest.mark.parametrize("name", adapter_registry.names())
def test_ours_pass_as_strangers_do(name: str) -> None:
    assert misfit(adapter_registry.load(name)) == ""


@pytest.mark.parametrize(
    ("adapter", "said"),
    [
        (changed(api=1), "API 1"),
        (changed(request=None), "the method `request` is missing"),
        (changed(request=lambda self: None), "`request` must take 1 argument beside self"),
        (changed(error=lambda self, status, body: None), "`error` must take 3 arguments beside self"),
        (changed(models=lambda self: None), "`models` must take 1 argument beside self"),
        (
            changed(faces=frozenset(("chat", "images"))),
            "`faces` has 'images'; it may have chat, completions, embeddings",
        ),
        (type("Bare", (), {}), "the member `environment` is missing"),
    ],
)
def test_what_is_wrong_is_said_with_the_fix(adapter: type, said: str) -> None:
    assert said in misfit(adapter)


def test_an_unfit_adapter_is_named_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        value = "acme:Broken"

        def load(self) -> type:
            return changed(api=3)

    monkeypatch.setattr(adapter_registry, "_registered", lambda: {"acme": Entry()})
    with pytest.raises(adapter_registry.UnfitAdapter, match=r"^acme:Broken: it was written for API 3"):
        adapter_registry.load.__wrapped__("acme")
