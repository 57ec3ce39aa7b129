"""What one does every day beside asking: settings at hand, a queue, another model, costs, chats that are not kept."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.gateway import Gateway
from tests.ui.site import DONE, Site
from tests.waiting import until

pytestmark = pytest.mark.thorough


def listed(site: Site) -> list[str]:
    found = site.page.request.get(f"{site.url}/threads").json()["threads"]
    return [one["id"] for one in found]


# Settings of the chat


def test_a_chats_settings_are_one_click_away_seen_in_the_bar_and_kept(site: Site) -> None:
    site.answered("Hello")
    site.page.get_by_role("button", name="Settings of this chat").click()
    site.page.get_by_label("System prompt").fill("Be brief")
    site.page.get_by_label("Temperature").fill("0.3")
    site.page.keyboard.press("Escape")
    bar = site.page.get_by_role("button", name="Settings of this chat")
    expect(bar).to_contain_text("System prompt · Temperature 0.3")
    expect(bar).to_be_focused()
    site.page.reload()
    expect(bar).to_contain_text("System prompt · Temperature 0.3")
    site.page.get_by_role("link", name="New chat").click()
    expect(bar).not_to_contain_text("System prompt")


# Queue


def test_a_message_that_is_written_while_it_answers_is_sent_when_it_is_done(site: Site) -> None:
    site.choose("demo/hello")
    site.ask("First")
    site.begun()
    site.ask("Second")
    expect(site.page.get_by_role("list", name="Waiting to be sent")).to_contain_text("Second")
    expect(site.composer).to_have_value("")
    expect(site.questions).to_have_count(2, timeout=DONE)
    expect(site.questions.last).to_contain_text("Second")
    expect(site.page.get_by_role("list", name="Waiting to be sent")).to_have_count(0)
    site.complete(site.answers.last)


def test_a_stop_holds_what_waits_and_its_writer_decides(site: Site) -> None:
    site.choose("demo/slow")
    site.ask("First")
    site.begun()
    site.ask("Second")
    site.ask("Third")
    site.button("Stop").click()
    expect(site.page.get_by_text("The answer before did not end by itself.")).to_be_visible()
    expect(site.questions).to_have_count(1)
    site.button("Edit this message").first.click()
    expect(site.composer).to_have_value("Second")
    site.composer.fill("")
    site.choose("quick/hello")
    site.button("Send now").click()
    expect(site.questions).to_have_count(2)
    expect(site.questions.last).to_contain_text("Third")


@pytest.mark.thorough
def test_what_waits_survives_a_reload(site: Site) -> None:
    site.choose("demo/slow")
    site.ask("First")
    site.begun()
    site.ask("Second")
    site.page.reload()
    expect(site.page.get_by_role("list", name="Waiting to be sent")).to_contain_text("Second")
    site.button("Remove this message").click()
    expect(site.page.get_by_role("list", name="Waiting to be sent")).to_have_count(0)
    site.button("Stop").click()


# Another model


def test_another_model_answers_again_beside_the_first(site: Site) -> None:
    site.answered("Hello")
    site.page.get_by_role("button", name="Answer with another model").click()
    site.page.get_by_role("combobox", name="Search models").fill("quick/reasoning")
    expect(site.page.get_by_role("option")).to_have_count(1)
    site.page.keyboard.press("Enter")
    expect(site.page.get_by_text("2/2")).to_be_visible(timeout=DONE)
    site.complete(site.answers.last)
    assert [one["model"] for one in site.stored() if one["role"] == "assistant"] == ["hello", "reasoning"]
    assert site.page.locator(".model-button").first.inner_text().strip() == "quick/hello"


# Context and cost


def test_the_context_and_the_cost_of_a_chat_are_in_sight_by_turn_too(site: Site) -> None:
    site.answered("Hello")
    site.answered("Again")
    meter = site.page.get_by_role("button", name="Context and cost of this chat")
    expect(meter).to_contain_text(re.compile(r"\d+ of 8\.2K \(\d[\d.]* %\) · \$0"))
    meter.click()
    rows = site.page.locator(".turns tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("quick/hello")
    expect(rows.last).to_be_in_viewport(ratio=1)


def test_a_price_that_is_not_known_is_said_and_never_0(site: Site) -> None:
    site.choose("parrot")
    site.answered("say:hi")
    expect(site.page.get_by_role("button", name="Context and cost of this chat")).to_contain_text("no known price")
    expect(site.page.get_by_role("button", name="Context and cost of this chat")).not_to_contain_text("$")


# Temporary chats


def test_a_temporary_chat_is_not_listed_and_gone_when_it_is_left(site: Site) -> None:
    before = listed(site)
    site.button("Temporary chat").click()
    site.answered("Secret")
    id = site.page.url.rsplit("/", 1)[1]
    expect(site.page.locator(".said")).to_contain_text("Temporary")
    expect(site.page.locator("nav li").filter(has_text="Secret")).to_have_count(0)
    with site.page.expect_response(lambda one: one.request.method == "DELETE"):
        site.page.get_by_role("link", name="New chat").click()
    assert site.page.request.get(f"{site.url}/threads/{id}").status == 404
    assert listed(site) == before


@pytest.mark.thorough
def test_a_temporary_chat_does_not_survive_its_page(page: Page, gateway: Gateway) -> None:
    other = Site(page.context.new_page(), gateway.url)
    other.open()
    other.button("Temporary chat").click()
    other.answered("Secret")
    id = other.page.url.rsplit("/", 1)[1]
    other.page.close()
    until(lambda: page.request.get(f"{gateway.url}/threads/{id}").status == 404, "the end of the chat")


@pytest.mark.thorough
def test_on_a_phone_the_bar_and_the_composer_stay_within_the_window(site: Site) -> None:
    site.page.set_viewport_size({"width": 390, "height": 800})
    site.answered("Hello")
    assert site.page.evaluate("document.documentElement.scrollWidth") <= 390
    box = site.button("Send").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 390
