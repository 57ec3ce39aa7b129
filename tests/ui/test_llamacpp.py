"""The page in front of a real llama.cpp server: what it says is seen, and Stop frees its slot."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.gateway import running_gateway
from tests.ui.site import Site

if importlib.util.find_spec("xllamacpp") is None:
    pytest.skip("there is no llama.cpp (pip install xllamacpp)", allow_module_level=True)

from tests.llamacpp.conftest import CONFIG, running_llamacpp
from tests.llamacpp.make_tiny_gguf import make

OPTIONS = ("--alias", "endless", "--parallel", "1", "--ctx-size", "100000")


def test_stop_frees_the_slot_of_llama_cpp(page: Page, tmp_path: Path) -> None:
    make(tmp_path / "endless.gguf", eos_bias=-40.0)
    with (
        running_llamacpp(tmp_path / "endless.gguf", *OPTIONS) as server,
        running_gateway(CONFIG.format(url=server)) as gateway,
    ):
        site = Site(page, gateway.url)
        site.open()
        site.choose("llamacpp/endless")
        site.ask("Go on for ever")
        expect(site.answers.last.locator(".prose")).to_be_visible()
        assert busy(page, server)
        site.button("Stop").click()
        expect(site.answers.last).to_contain_text("The connection to the model was closed in")
        assert site.in_flight() == []
        site.until(lambda: not busy(page, server))  # it looks for cancelled tasks between two tokens


def busy(page: Page, server: str) -> bool:
    return any(slot["is_processing"] for slot in page.request.get(f"{server}/slots").json())
