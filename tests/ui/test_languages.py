"""The page in other languages: one from right to left, one without blanks between words."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.gateway import Gateway
from tests.ui.browser import visitor
from tests.ui.site import DONE, Site
from tests.ui.test_page import AXE, audit

pytestmark = pytest.mark.thorough


def chosen(site: Site, language: str) -> None:
    site.page.keyboard.press("Control+,")
    with site.page.expect_navigation():
        site.page.locator("select[name=language]").select_option(language)


def asked(page: Page, label: str) -> None:
    page.get_by_label(label, exact=True).fill("Hello")
    page.keyboard.press("Enter")
    expect(page.locator("article.answer")).to_have_attribute("aria-busy", "false", timeout=DONE)


def test_arabic_is_written_from_right_to_left_and_kept(site: Site) -> None:
    chosen(site, "ar")
    page = site.page
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.get_by_role("link", name="محادثة جديدة").first).to_be_visible()
    assert page.locator("#composer").evaluate("field => getComputedStyle(field).direction") == "rtl"
    side, main = page.locator(".side").bounding_box(), page.locator("main").bounding_box()
    assert side is not None
    assert main is not None
    assert side["x"] > main["x"]
    asked(page, "رسالتك")
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "ar")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    if AXE.exists():
        assert audit(page) == []


@pytest.mark.thorough
def test_japanese_is_spoken_to_whoever_reads_it(browser: Browser, gateway: Gateway) -> None:
    context = visitor(browser, locale="ja-JP", viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(f"{gateway.url}/")
    asked(page, "メッセージ")
    expect(page.locator("html")).to_have_attribute("lang", "ja")
    expect(page.get_by_role("button", name="このリクエストの時間")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_chat_and_activity_speak_japanese_once_it_is_chosen(site: Site) -> None:
    chosen(site, "ja")
    asked(site.page, "メッセージ")
    if AXE.exists():
        assert audit(site.page) == []
    site.page.goto(f"{site.url}/#/activity")
    expect(site.page.get_by_role("heading", name="アクティビティ")).to_be_visible()
    expect(site.page.get_by_text("毎秒のトークン数").first).to_be_visible()
    expect(site.page.get_by_role("heading", name="使用量")).to_be_visible()


def test_english_loads_no_other_language(page: Page, gateway: Gateway) -> None:
    loaded: list[str] = []
    page.on("request", lambda one: loaded.append(one.url.rsplit("/", 1)[1]))
    Site(page, gateway.url).open()
    assert [name for name in loaded if name.startswith(("ar-", "ja-"))] == []
