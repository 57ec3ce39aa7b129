"""The flight record on the page: under an answer, and of any request in Activity."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.ui.site import DONE, Site

pytestmark = pytest.mark.thorough


def opened(site: Site) -> None:
    site.button("Timing of this request").last.click()
    expect(site.page.get_by_role("region", name="What this request did, and when")).to_be_visible()


def test_the_retry_under_an_answer_is_a_row_of_its_waterfall(site: Site) -> None:
    site.choose("quick/flaky")
    site.answered("Hello")
    opened(site)
    terms = site.page.locator(".flight dt")
    expect(terms).to_have_count(3)
    expect(terms.nth(0)).to_contain_text("First attempt quick/flaky")
    expect(terms.nth(1)).to_contain_text("Pause after rate_limit_exceeded")
    expect(terms.nth(2)).to_contain_text("Retry quick/flaky")
    expect(site.page.locator(".flight .row.failed")).to_have_count(1)


def test_a_stop_says_what_it_saved_at_most(site: Site) -> None:
    site.choose("demo/slow")
    site.ask("Hello")
    site.begun()
    site.button("Stop").click()
    site.complete(site.answers.last)
    opened(site)
    words = site.page.locator(".flight")
    expect(words).to_contain_text("Stopped after")
    expect(words).to_contain_text("What that saved is not known, as the request set no limit.")


def test_a_request_is_copied_as_a_command_without_the_key(site: Site) -> None:
    site.answered("It's me")
    opened(site)
    site.button("Copy as curl").click()
    text = site.page.evaluate("navigator.clipboard.readText()")
    assert "$LLMPROXY_KEY" in text
    assert "It'\\''s me" in text
    for name in ("Python", "Node"):
        site.button(f"Copy as {name}").click()
        expect(site.page.get_by_text(f"Copied as {name}").first).to_be_attached()
    assert "process.env.LLMPROXY_KEY" in site.page.evaluate("navigator.clipboard.readText()")


@pytest.mark.thorough
def test_any_request_in_activity_opens_by_keyboard(site: Site) -> None:
    site.answered("Hello")
    site.page.goto(f"{site.url}/#/activity")
    row = site.page.get_by_role("button", name="quick/hello").last
    row.focus()
    site.page.keyboard.press("Enter")
    expect(site.page.locator(".flight dt").first).to_contain_text("First attempt")
    site.page.keyboard.press("Enter")
    expect(site.page.locator(".flight")).to_have_count(0)


@pytest.mark.thorough
def test_on_a_phone_nothing_is_wider_than_the_window(site: Site) -> None:
    site.page.set_viewport_size({"width": 390, "height": 800})
    site.choose("quick/flaky")
    site.answered("Hello")
    opened(site)
    assert site.page.evaluate("document.documentElement.scrollWidth") <= 390
    box = site.page.locator(".flight").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 390


def test_a_running_request_grows_in_front_of_its_reader(page: Page, site: Site) -> None:
    site.choose("demo/slow")
    site.ask("Hello")
    site.begun()
    page.goto(f"{site.url}/#/activity")
    page.get_by_role("button", name="demo/slow").first.click()
    note = page.locator(".flight .note").last
    first = note.inner_text()
    expect(note).not_to_have_text(re.compile(re.escape(first)), timeout=DONE)
    page.get_by_role("button", name="Stop", exact=True).first.click()
