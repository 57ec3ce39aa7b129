"""The page under a path that a proxy in front takes away: its files and its calls are found beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.server.test_real_proxies import front
from tests.ui.browser import visitor
from tests.ui.site import Site

QUICK = "[providers.demo]\noptions = { tokens_per_second = 400 }\n"


def test_a_chat_under_a_path(browser: Browser, tmp_path: Path) -> None:
    with front("nginx path", tmp_path, QUICK) as there, visitor(browser) as context:
        page = context.new_page()
        missing: list[str] = []
        page.on("response", lambda answer: missing.append(answer.url) if answer.status >= 400 else None)
        site = Site(page, f"{there.url}/llm")
        site.open()
        site.ask("Hello!")
        expect(site.answers.first).to_contain_text("demo")
        assert "/llm/" in page.url
        assert missing == []
        assert site.complaints == []


@pytest.mark.thorough
def test_a_password_in_front_stands_beside_a_key_of_ours(browser: Browser, tmp_path: Path) -> None:
    """The browser's own Authorization is for the proxy."""
    config = f'[server]\nkeys = ["a-clients-key"]\n{QUICK}'
    with (
        front("nginx password", tmp_path, config) as there,
        visitor(browser, http_credentials={"username": "me", "password": "pass"}) as context,
    ):
        site = Site(context.new_page(), there.url)
        site.page.goto(f"{there.url}/")
        site.page.get_by_role("textbox", name="Key").fill("a-clients-key")
        site.page.get_by_role("button", name="Use this key").click()
        expect(site.page.get_by_role("dialog")).to_have_count(0)
        site.ask("Hello!")
        expect(site.answers.first).to_contain_text("demo")
