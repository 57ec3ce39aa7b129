"""Answers on the page: they come, they stop, and no reload, cut or second tab loses a word of them."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.gateway import Gateway
from tests.ui.cable import cable
from tests.ui.site import Site


def test_the_first_answer_appears_with_the_facts_about_it(site: Site) -> None:
    site.choose("demo/hello")
    answer = site.answered("Good morning")
    expect(answer.locator(".prose")).to_contain_text("You said: “Good morning”.")
    facts = answer.get_by_label("Facts about this answer")
    expect(facts).to_contain_text("demo/hello")
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


@pytest.mark.thorough
def test_a_long_table_keeps_its_columns_and_is_a_table_for_every_reader(site: Site) -> None:
    site.choose("parrot")
    rows = "".join(f"| row {n} | {n * 7} |\n" for n in range(120))
    table = site.answered(f"say:| name | value |\n|---|--:|\n{rows}").locator("table")
    expect(table.locator("tbody tr")).to_have_count(120)
    lefts = "cells => new Set(cells.map(cell => Math.round(cell.getBoundingClientRect().x))).size"
    assert table.locator("th:last-child, tr:nth-child(-n + 5) td:last-child").evaluate_all(lefts) == 1
    tree = site.page.context.new_cdp_session(site.page).send("Accessibility.getFullAXTree")["nodes"]
    roles = {one.get("role", {}).get("value") for one in tree}
    assert {"table", "row", "columnheader", "cell"} <= roles


@pytest.mark.thorough
def test_a_long_paragraph_is_one_paragraph(site: Site) -> None:
    site.choose("parrot")
    words = " ".join(f"word {n} of a **long** text" for n in range(200))
    answer = site.answered(f"say:{words}")
    expect(answer.locator(".prose p")).to_have_count(1)
    expect(answer.locator(".prose p")).to_have_text(words.replace("**", ""))


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


def test_sources_are_numbered_links_in_the_text_and_a_list_below_it(site: Site) -> None:
    site.choose("perplexity/sonar-pro")
    answer = site.answered("say:Water boils at 100 degrees[1] and freezes at 0 [2]. Nobody doubts it [9].")
    marks = answer.locator(".prose a.cite")
    expect(marks).to_have_text(["1", "2"])
    expect(marks.first).to_have_attribute("href", "https://a.example/boiling")
    expect(marks.first).to_have_attribute("title", "On boiling")
    expect(answer.locator(".prose")).to_contain_text("[9]")
    expect(answer.get_by_label("Sources").get_by_role("link")).to_contain_text(["On boiling", "On freezing"])
    site.page.reload()
    expect(marks).to_have_text(["1", "2"])


def test_stop_closes_the_request_and_keeps_what_came(site: Site) -> None:
    site.choose("demo/slow")
    site.ask("Take your time")
    site.begun()
    assert len(site.in_flight()) == 1
    site.button("Stop").click()
    expect(site.answers.last).to_contain_text("Stopped.")
    expect(site.answers.last).to_contain_text("The connection to the model was closed in")
    assert site.in_flight() == []
    assert site.stored()[-1]["state"] == "stopped"
    assert site.text().split()[0] == "Hello!"


@pytest.mark.thorough
def test_how_fast_a_stop_was_is_still_said_after_a_reload(site: Site) -> None:
    site.choose("demo/slow")
    site.ask("Take your time")
    site.begun()
    site.button("Stop").click()
    expect(site.answers.last).to_contain_text("The connection to the model was closed in")
    site.page.reload()
    expect(site.answers.last).to_contain_text("The connection to the model was closed in")


@pytest.mark.thorough
def test_escape_stops_as_the_button_does(site: Site) -> None:
    site.choose("demo/slow")
    site.ask("Take your time")
    site.begun()
    site.page.keyboard.press("Escape")
    expect(site.answers.last).to_contain_text("Stopped.")
    assert site.in_flight() == []


def test_a_stopped_answer_can_be_continued(site: Site) -> None:
    site.choose("demo/slow")
    site.ask("Take your time")
    site.begun()
    site.page.keyboard.press("Escape")
    expect(site.answers.last).to_contain_text("Stopped.")
    kept = site.text()
    site.button("Continue").click()
    site.begun(beyond=len(kept))
    assert site.text().startswith(kept)
    site.button("Stop").click()
    expect(site.answers.last).to_contain_text("Stopped.")


def test_a_reload_in_mid_answer_loses_and_doubles_nothing(site: Site) -> None:
    site.choose("demo/hello")
    site.ask("Tell me")
    site.begun()
    site.page.reload()
    site.complete(site.answers.last)
    assert site.text() == site.stored()[-1]["content"]
    assert site.stored()[-1]["state"] == "complete"


@pytest.mark.thorough
def test_two_tabs_show_the_same_answer(site: Site, context: BrowserContext) -> None:
    site.choose("demo/hello")
    site.ask("Tell both of us")
    site.begun()
    other = Site(context.new_page(), site.url)
    other.page.goto(site.page.url)
    for tab in (site, other):
        tab.complete(tab.answers.last)
    assert other.text() == site.text() == site.stored()[-1]["content"]
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
        site.begun()
        line.pull()
        expect(site.answers.last).to_contain_text("Connection lost. The answer goes on; reconnecting")
        line.put_back()
        site.complete(site.answers.last)
        assert site.text() == site.stored()[-1]["content"]


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


def test_a_question_that_could_not_be_sent_stays_in_sight_when_the_gateway_is_back(
    page: Page, gateway: Gateway
) -> None:
    with cable(gateway.url) as (line, address):
        site = Site(page, address)
        site.open()
        page.route("**/threads/*/messages?*", lambda route: route.fulfill(status=503, body="{}"))
        site.answered("First")  # and the page could not look at the thread afterwards
        line.pull()
        site.ask("Second")
        expect(site.answers.last.get_by_role("alert")).to_contain_text("The gateway cannot be reached.")
        page.unroute_all()
        with page.expect_response(lambda response: "/messages?" in response.url and response.ok):
            line.put_back()
        expect(site.questions).to_have_count(2)
        site.button("Retry").click()
        expect(site.answers.last).to_contain_text("You said: “Second”.")


def test_a_failed_answer_says_what_to_do_and_can_be_retried(site: Site) -> None:
    site.choose("quick/error")
    answer = site.answered("Please")
    expect(answer.get_by_role("alert")).to_contain_text("The demo model fails on request.")
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
