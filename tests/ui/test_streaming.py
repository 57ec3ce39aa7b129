"""Answers on the page: they come, they stop, and no reload, cut or second tab loses a word of them."""

from __future__ import annotations

import re

from playwright.sync_api import BrowserContext, Page, expect

from tests.gateway import Gateway
from tests.ui.cable import cable
from tests.ui.site import Site

STARTED = 10  # characters after which an answer is in full flow


def begun(site: Site, beyond: int = 0) -> None:
    """Waits until words are on the page, and more than there were before."""
    longer = re.compile(rf"[\s\S]{{{beyond + STARTED},}}")
    expect(site.answers.last.locator(".prose")).to_have_text(longer, timeout=15_000)


def text(site: Site) -> str:
    return str(site.answers.last.locator(".prose").inner_text())


def test_the_first_answer_appears_with_the_facts_about_it(site: Site) -> None:
    answer = site.answered("Good morning")
    expect(answer.locator(".prose")).to_contain_text("You said: “Good morning”.")
    facts = answer.get_by_label("Facts about this answer")
    expect(facts).to_contain_text("quick/hello")
    expect(facts).to_contain_text("first token")
    expect(facts).to_contain_text("tokens/s")
    expect(site.chats.first).to_contain_text("Good morning")


def test_markdown_becomes_tables_code_and_math(site: Site) -> None:
    site.choose("quick/markdown")
    answer = site.answered("Show me")
    expect(answer.locator("table tbody tr")).to_have_count(3)
    expect(answer.locator("td[align=right]").first).to_have_text("1")
    expect(answer.locator(".code .hljs-keyword").first).to_have_text("def")
    expect(answer.locator("math")).to_have_count(2)
    expect(answer.locator("ol > li > ul > li")).to_have_count(1)


def test_code_is_copied_as_it_was_written(site: Site) -> None:
    site.choose("parrot")
    answer = site.answered("say:```python\na = 1\n\nif a:\n    b = '<i>'\n```")
    answer.get_by_role("button", name="Copy", exact=True).first.click()
    assert site.page.evaluate("navigator.clipboard.readText()") == "a = 1\n\nif a:\n    b = '<i>'"


def test_reasoning_is_folded_with_its_time(site: Site) -> None:
    site.choose("quick/reasoning")
    answer = site.answered("Why?")
    fold = answer.locator("details.reasoning")
    expect(fold).to_contain_text("Reasoned for")
    fold.locator("summary").click()
    expect(fold).to_contain_text("The question came in")


def test_stop_closes_the_request_and_keeps_what_came(site: Site) -> None:
    site.choose("demo/slow")
    site.ask("Take your time")
    begun(site)
    assert len(site.in_flight()) == 1
    site.button("Stop").click()
    expect(site.answers.last).to_contain_text("Stopped.")
    expect(site.answers.last).to_contain_text("The connection to the model was closed in")
    assert site.in_flight() == []
    assert site.stored()[-1]["state"] == "stopped"
    assert text(site).split()[0] == "Hello!"


def test_escape_stops_as_the_button_does(site: Site) -> None:
    site.choose("demo/slow")
    site.ask("Take your time")
    begun(site)
    site.page.keyboard.press("Escape")
    expect(site.answers.last).to_contain_text("Stopped.")
    assert site.in_flight() == []


def test_a_stopped_answer_can_be_continued(site: Site) -> None:
    site.choose("demo/slow")
    site.ask("Take your time")
    begun(site)
    site.page.keyboard.press("Escape")
    expect(site.answers.last).to_contain_text("Stopped.")
    kept = text(site)
    site.button("Continue").click()
    begun(site, beyond=len(kept))
    assert text(site).startswith(kept)
    site.button("Stop").click()
    expect(site.answers.last).to_contain_text("Stopped.")


def test_a_reload_in_mid_answer_loses_and_doubles_nothing(site: Site) -> None:
    site.choose("demo/hello")
    site.ask("Tell me")
    begun(site)
    site.page.reload()
    site.complete(site.answers.last)
    assert text(site) == site.stored()[-1]["content"]
    assert site.stored()[-1]["state"] == "complete"


def test_two_tabs_show_the_same_answer(site: Site, context: BrowserContext) -> None:
    site.choose("demo/hello")
    site.ask("Tell both of us")
    begun(site)
    other = Site(context.new_page(), site.url)
    other.page.goto(site.page.url)
    for tab in (site, other):
        tab.complete(tab.answers.last)
    assert text(other) == text(site) == site.stored()[-1]["content"]
    assert other.complaints == []


def test_a_question_in_one_tab_appears_in_the_other(site: Site, context: BrowserContext) -> None:
    site.answered("First")
    other = Site(context.new_page(), site.url)
    other.page.goto(site.page.url)
    expect(other.questions).to_have_count(1)
    site.answered("Second")
    expect(other.questions).to_have_count(2)
    expect(other.answers.last).to_contain_text("You said: “Second”.")


def test_a_cut_network_is_survived(page: Page, gateway: Gateway) -> None:
    with cable(gateway.url) as (line, address):
        site = Site(page, address)
        site.open()
        site.choose("demo/hello")
        site.ask("Tell me")
        begun(site)
        line.pull()
        expect(site.answers.last).to_contain_text("Connection lost. The answer goes on; reconnecting")
        line.put_back()
        site.complete(site.answers.last)
        assert text(site) == site.stored()[-1]["content"]


def test_a_gateway_that_cannot_be_reached_is_said_and_the_question_kept(page: Page, gateway: Gateway) -> None:
    with cable(gateway.url) as (line, address):
        site = Site(page, address)
        site.open()
        site.answered("First")
        line.pull()
        site.ask("Second")
        expect(site.answers.last.get_by_role("alert")).to_contain_text("The gateway cannot be reached.")
        line.put_back()
        site.button("Retry").click()
        expect(site.answers.last).to_contain_text("You said: “Second”.")
        assert [one["content"] for one in site.stored() if one["role"] == "user"] == ["First", "Second"]


def test_a_failed_answer_says_what_to_do_and_can_be_retried(site: Site) -> None:
    site.choose("quick/error")
    answer = site.answered("Please")
    expect(answer.get_by_role("alert")).to_contain_text("The demo model fails when it is asked to.")
    expect(answer.get_by_role("alert")).to_contain_text("choose another model")
    site.choose("quick/hello")
    site.button("Retry").click()
    expect(site.answers.last).to_contain_text("You said: “Please”.")


def test_without_streaming_the_answer_appears_at_once(site: Site) -> None:
    site.page.keyboard.press("Control+,")
    site.page.get_by_label("Show answers while they are written").uncheck()
    site.page.keyboard.press("Escape")
    site.page.evaluate(
        """() => { window.sizes = new Set(); new MutationObserver(() => {
            const found = document.querySelector('.answer .prose'); if (found) window.sizes.add(found.textContent.length);
        }).observe(document.body, {subtree: true, childList: true, characterData: true}); }"""
    )
    site.answered("Whole, please")
    assert site.page.evaluate("window.sizes.size") == 1
