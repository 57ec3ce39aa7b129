"""What is written, shown and said while the gateway takes its time, and when it refuses."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.gateway import Gateway
from tests.ui.site import Site

THREADS = "**/threads"
A_THREAD = "**/threads/*"
BROKEN = {"error": {"message": "The disk is full.", "code": "disk_full"}}


@pytest.fixture(autouse=True)
def _alone(page: Page, gateway: Gateway) -> None:
    """No chats but one's own."""
    page.request.delete(f"{gateway.url}/threads")


class Held:
    """Requests with a method, kept from the gateway until they are let go, and with them all that follow."""

    def __init__(self, page: Page, address: str, method: str) -> None:
        self.method = method
        self.routes: list[Route] = []
        self._holds = True
        page.route(address, self._take)

    def _take(self, route: Route) -> None:
        if self._holds and route.request.method == self.method:
            self.routes.append(route)
        else:
            route.continue_()

    def let_go(self) -> None:
        self._holds = False
        for route in self.routes:
            route.continue_()

    def refuse(self) -> None:
        self._holds = False
        for route in self.routes:
            route.fulfill(status=507, json=BROKEN)


def refusing(page: Page, address: str, method: str) -> None:
    """The gateway refuses such requests from now on."""

    def answer(route: Route) -> None:
        if route.request.method == method:
            route.fulfill(status=507, json=BROKEN)
        else:
            route.continue_()

    page.route(address, answer)


def held_question(site: Site, text: str) -> Held:
    """A first question whose thread the gateway has not made yet."""
    held = Held(site.page, THREADS, "POST")
    site.ask(text)
    site.until(lambda: held.routes)
    return held


# A first question


def test_a_first_question_is_shown_before_its_thread_is_there(site: Site) -> None:
    held = held_question(site, "Hello")
    expect(site.questions).to_have_text("Hello")
    expect(site.button("Stop")).to_be_visible()
    held.let_go()
    site.complete(site.answers.last)
    expect(site.questions).to_have_count(1)


def test_what_is_written_while_the_first_thread_is_made_stays_in_the_field(site: Site) -> None:
    held = held_question(site, "Hello")
    site.composer.press_sequentially("and then")
    held.let_go()
    site.complete(site.answers.last)
    expect(site.composer).to_have_value("and then")
    site.page.reload()
    expect(site.composer).to_have_value("and then")


def test_a_second_question_waits_for_the_thread_of_the_first(site: Site) -> None:
    held = held_question(site, "First")
    site.ask("Second")
    held.let_go()
    expect(site.answers).to_have_count(2)
    site.complete(site.answers.last)
    expect(site.questions).to_have_text(["First", "Second"])
    expect(site.chats).to_have_count(1)
    assert len(held.routes) == 1


def test_a_model_chosen_while_the_first_thread_is_made_is_stored_with_it(site: Site) -> None:
    held = held_question(site, "Hello")
    site.choose("quick/markdown")
    held.let_go()
    site.complete(site.answers.last)
    site.until(lambda: site.kept()["model"] == "quick/markdown")


def test_whoever_leaves_while_the_first_thread_is_made_stays_where_they_are(site: Site) -> None:
    site.answered("Here")
    here = site.page.url
    site.page.keyboard.press("Alt+n")
    held = held_question(site, "There")
    site.chats.first.click()
    expect(site.questions).to_have_text("Here")
    held.let_go()
    expect(site.chats).to_have_count(2)
    site.page.locator("nav li").filter(has_text="There").locator("a").click()
    site.complete(site.answers.last)
    site.page.go_back()
    assert site.page.url == here


def test_a_question_that_could_not_be_asked_changes_no_other_draft(site: Site) -> None:
    site.answered("Here")
    site.page.keyboard.press("Alt+n")
    held = held_question(site, "There")
    site.chats.first.click()
    expect(site.questions).to_have_text("Here")
    site.composer.fill("my draft")
    held.refuse()
    expect(site.page.get_by_text("The disk is full.")).to_be_visible()
    expect(site.composer).to_have_value("my draft")
    site.page.keyboard.press("Alt+n")
    expect(site.composer).to_have_value("There")


def test_a_question_that_could_not_be_asked_comes_back_before_what_was_written_since(site: Site) -> None:
    held = held_question(site, "First")
    site.composer.press_sequentially("and more")
    held.refuse()
    expect(site.page.get_by_text("The disk is full.")).to_be_visible()
    expect(site.composer).to_have_value("First\n\nand more")
    expect(site.questions).to_have_count(0)


def test_stop_takes_back_a_question_whose_thread_is_not_there_yet(site: Site) -> None:
    held = held_question(site, "Never mind")
    site.button("Stop").click()
    expect(site.composer).to_have_value("Never mind")
    expect(site.questions).to_have_count(0)
    with site.page.expect_response(lambda one: one.request.method == "DELETE"):
        held.let_go()  # nobody's thread is left behind
    assert site.page.request.get(f"{site.url}/threads").json()["threads"] == []


# A chat that is opened

MESSAGES = "**/messages?*"


def other_chat(site: Site) -> None:
    """Two chats are there; a new one is shown."""
    site.answered("One")
    site.page.keyboard.press("Alt+n")
    site.answered("Two")
    site.page.keyboard.press("Alt+n")
    expect(site.questions).to_have_count(0)


def test_what_is_asked_before_a_chat_has_been_loaded_is_asked_in_it(site: Site) -> None:
    other_chat(site)
    held = Held(site.page, MESSAGES, "GET")
    site.chats.last.click()
    site.until(lambda: held.routes)
    site.ask("And then?")
    held.let_go()
    expect(site.questions).to_have_text(["One", "And then?"])
    site.complete(site.answers.last)
    expect(site.chats).to_have_count(2)


def test_a_chat_that_could_not_be_opened_says_so_and_can_be_opened_again(site: Site) -> None:
    other_chat(site)
    held = Held(site.page, MESSAGES, "GET")
    site.chats.last.click()
    site.until(lambda: held.routes)
    held.refuse()
    expect(site.page.get_by_text("The disk is full.")).to_be_visible()
    expect(site.page.get_by_text("What shall we think about?")).to_have_count(0)
    site.button("Try again").click()
    expect(site.questions).to_have_text("One")


def test_nothing_is_asked_elsewhere_when_a_chat_could_not_be_opened(site: Site) -> None:
    other_chat(site)
    refusing(site.page, MESSAGES, "GET")
    site.chats.last.click()
    expect(site.page.get_by_text("The disk is full.")).to_be_visible()
    site.ask("And then?")
    expect(site.composer).to_have_value("And then?")
    expect(site.chats).to_have_count(2)


def test_a_question_in_a_chat_that_is_no_more_begins_another(site: Site) -> None:
    site.page.goto(f"{site.url}/#/t/no-such-chat")
    expect(site.page.get_by_text("It may have been deleted.")).to_be_visible()
    expect(site.button("Try again")).to_have_count(0)
    site.answered("Hello")
    expect(site.chats).to_have_text("Hello")


# The list of chats


def test_a_name_that_was_refused_is_not_shown(site: Site) -> None:
    site.answered("Hello")
    refusing(site.page, A_THREAD, "PATCH")
    site.chat_menu("Rename")
    site.page.keyboard.type("Another")
    site.page.keyboard.press("Enter")
    expect(site.page.get_by_text("The disk is full.")).to_be_visible()
    expect(site.chats).to_have_text("Hello")


def test_a_new_name_of_the_open_chat_is_its_title_everywhere(site: Site) -> None:
    site.answered("Hello")
    site.chat_menu("Rename")
    site.page.keyboard.type("Another")
    site.page.keyboard.press("Enter")
    expect(site.page).to_have_title("Another · llmproxy")
    expect(site.page.get_by_role("heading", name="Another")).to_be_visible()


def test_a_chat_that_could_not_be_deleted_stays(site: Site) -> None:
    site.answered("Hello")
    refusing(site.page, A_THREAD, "DELETE")
    site.chat_menu("Delete")
    expect(site.page.get_by_text("The disk is full.")).to_be_visible()
    expect(site.chats).to_have_text("Hello")
    expect(site.questions).to_have_text("Hello")


def test_tags_that_were_changed_right_before_a_reload_are_kept(site: Site) -> None:
    """The browser may drop what the page sends while it is left, as if it had never been sent."""
    site.answered("Hello")
    site.page.keyboard.press("Alt+n")
    expect(site.questions).to_have_count(0)
    site.page.route(A_THREAD, lambda route: route.abort() if changes(route.request) else route.continue_())
    site.chat_menu("Tags")
    site.page.keyboard.type("work")
    with site.page.expect_event("requestfailed", changes):
        site.page.keyboard.press("Enter")
    site.page.unroute(A_THREAD)
    site.page.reload()
    site.until(lambda: "work" in site.page.request.get(f"{site.url}/threads").text())
    expect(site.page.locator("nav li")).to_contain_text("work")
    site.page.reload()
    expect(site.page.locator("nav li")).to_contain_text("work")


def changes(request: Request) -> bool:
    return request.method == "PATCH"
