"""Adapters are checked when they are loaded: what is wrong is one sentence with the fix."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmproxy.adapter_kit import API, Environment, OpenAICompatible
from llmproxy.core import adapter_registry
from llmproxy.core.adapter_registry import misfit


class Least:
    """All of the contract, and nothing else."""

    environment = Environment()
    many = True
    first_frame = 1.0
    faces = frozenset(("chat",))

    def __init__(self, account: Any) -> None: ...
    def request(self, chat: Any) -> Any: ...
    def translator(self, chat: Any) -> Any: ...
    def error(self, status: int, headers: Any, body: bytes) -> Any: ...


def changed(**members: Any) -> type:
    return type("Changed", (Least,), members)


def short(**members: Any) -> type:
    """A subclass of a few lines, as most adapters are."""
    return type("Short", (OpenAICompatible,), members)


async def waiting(self: Any, chat: Any) -> None: ...


def test_the_contract_is_enough() -> None:
    assert misfit(Least) == ""


def test_a_subclass_of_few_lines_is_enough() -> None:
    assert misfit(short(environment=Environment())) == ""


def test_the_kit_and_the_registry_mean_the_same_api() -> None:
    assert adapter_registry.API == API


@pytest.mark.parametrize(
    "adapter",
    [
        changed(api=API),
        changed(faces=["chat", "embeddings"]),
        changed(speaks=["chat", "messages"], faces=None),
        changed(faces=property(lambda self: frozenset(("chat",)))),
        changed(models_request=None, models=None),
        changed(error=staticmethod(lambda status, headers, body: None)),
        changed(error=classmethod(lambda cls, status, headers, body: None)),
        changed(request=lambda self, *given, **more: None),
        changed(request=lambda self, chat, beside="": None),
        short(headers=staticmethod(dict)),
    ],
)
def test_every_form_that_can_be_called_is_a_method(adapter: type) -> None:
    assert misfit(adapter) == ""


@pytest.mark.parametrize("name", adapter_registry.names())
def test_ours_pass_as_strangers_do(name: str) -> None:
    assert misfit(adapter_registry.load(name)) == ""


@pytest.mark.parametrize(
    ("adapter", "said"),
    [
        (Least(None), "the entry point must name a class"),
        (changed(api=1), "API 1 of llmproxy.adapter_kit, and this is API 2"),
        (changed(api="2"), "API '2' of"),
        (changed(request=None), "the method `request` is missing"),
        (changed(request="POST"), "`request` must be a method"),
        (changed(request=lambda self: None), "`request` must take 1 argument beside self"),
        (changed(request=lambda self, chat, *, more: None), "`request` must take 1 argument beside self"),
        (changed(request=waiting), "`request` must not be a coroutine"),
        (changed(answer=waiting), "`answer` must not be a coroutine"),
        (changed(error=lambda self, status, body: None), "`error` must take 3 arguments beside self"),
        (changed(error=staticmethod(lambda self, status, headers, body: None)), "`error` must take 3 arguments"),
        (changed(error=classmethod(lambda cls, status: None)), "`error` must take 3 arguments"),
        (changed(models=lambda self: None), "`models` must take 1 argument beside self"),
        (changed(models_request=lambda self: None), "`models_request` must take 1 argument beside self"),
        (changed(pace=lambda self: None), "`pace` must take 1 argument beside self"),
        (changed(__init__=lambda self: None), "`__init__` must take 1 argument beside self, the Account"),
        (short(steps=lambda self: ()), "`steps` must take 1 argument beside self"),
        (short(headers=lambda self, chat: {}), "`headers` must take 0 arguments beside self"),
        (
            changed(faces=frozenset(("chat", "images"))),
            "`faces` has 'images'; it may have chat, completions, embeddings",
        ),
        (changed(faces=(1, "images")), "`faces` has 1; it may have"),
        (changed(faces=([],)), "`faces` has []; it may have"),
        (changed(faces="chat"), "`faces` must be a set with some of chat, completions, embeddings"),
        (changed(speaks=("images",)), "`speaks` has 'images'; it may have"),
        (changed(faces=()), "`faces` must be a set with some of chat, completions, embeddings"),
        (changed(faces=None), "`faces` must be a set"),
        (changed(environment={}), "`environment` must be an Environment"),
        (changed(first_frame="10"), "`first_frame` must be a number of seconds"),
        (type("Bare", (), {}), "the class attribute `environment` is missing; it must be an Environment"),
    ],
)
def test_what_is_wrong_is_said_with_the_fix(adapter: object, said: str) -> None:
    assert said in misfit(adapter)


def test_an_unfit_adapter_is_named_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        value = "acme:Broken"

        def load(self) -> type:
            return changed(api=3)

    monkeypatch.setattr(adapter_registry, "_registered", lambda: {"acme": Entry()})
    with pytest.raises(adapter_registry.UnfitAdapter, match=r"^acme:Broken: it was written for API 3"):
        adapter_registry.load.__wrapped__("acme")


@pytest.mark.parametrize("command", [("check",), ("serve", "--port", "0")])
def test_an_unfit_adapter_that_is_installed_is_told_in_one_line(tmp_path: Path, command: tuple[str, ...]) -> None:
    info = tmp_path / "acme-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[llmproxy.adapters]\nacme = acme:Acme\n")
    (tmp_path / "acme.py").write_text(
        "from llmproxy.adapter_kit import OpenAICompatible\nclass Acme(OpenAICompatible):\n    def judge(self): ...\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "llmproxy", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "LLMPROXY_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "llmproxy: the adapter acme that is installed does not keep the contract: "
        "acme:Acme: `judge` must take 1 argument beside self: see docs/adapters.md\n"
    )
