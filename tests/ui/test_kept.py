"""Answers whose stream is gone: the page shows what the gateway kept, says what happened, and goes on from there."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.gateway import running_gateway
from tests.ui.site import Site

pytestmark = pytest.mark.thorough

CONFIG = """
default_model = "demo/hello"
[providers.demo]
tokens_per_second = 250
[providers.calm]
adapter = "demo"
tokens_per_second = 60
[limits]
tape_bytes = 1000
[storage]
tape_bytes = 0
"""
BEGUN = 400  # characters, of which each takes more than two bytes of replay buffer


def opened(page: Page, url: str) -> Site:
    site = Site(page, url)
    site.open()
    return site


@pytest.mark.thorough
def test_an_answer_that_cannot_be_resumed_is_shown_as_it_is_stored(page: Page) -> None:
    with running_gateway(CONFIG) as gateway:
        site = opened(page, gateway.url)
        site.choose("demo/long")
        site.ask("Tell me")
        site.begun(beyond=BEGUN)
        page.reload()
        expect(site.answers.last).to_contain_text("The live stream is no longer kept.")
        site.button("Stop").click()
        site.complete(site.answers.last)
        expect(site.answers.last).not_to_contain_text("The live stream")
        expect(site.answers.last.locator(".prose")).to_contain_text(site.stored()[-1]["content"].split()[-1])


def test_an_answer_that_a_killed_gateway_left_can_be_continued(page: Page, tmp_path: Path) -> None:
    kept_in = {"LLMPROXY_DATA_DIR": str(tmp_path)}
    with running_gateway(CONFIG, kept_in) as gateway:
        site = opened(page, gateway.url)
        site.choose("calm/slow")
        site.ask("Tell me")
        site.begun()
        site.until(lambda: site.stored()[-1]["content"])
        gateway.process.kill()
        expect(site.answers.last).to_contain_text("Connection lost.")
    with running_gateway(CONFIG, kept_in, port=int(site.url.rsplit(":", 1)[1])):
        expect(site.answers.last).to_contain_text("The gateway ended while it was answering.")
        kept = site.text()
        site.button("Continue").click()
        expect(site.answers.last).to_have_attribute("aria-busy", "true")
        site.button("Stop").click()
        expect(site.answers.last).to_contain_text("Stopped.")
        assert kept
        assert site.text().startswith(kept)
