"""Writing and keeping: keys, input methods, several tabs, a gateway that is away, and what belongs to a chat."""

from __future__ import annotations

from base64 import b64encode

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.gateway import Gateway, running_gateway
from tests.ui.browser import visitor
from tests.ui.site import Site
from tests.ui.test_page import DOT, pick

COMPOSED = """(field) => field.dispatchEvent(
    new KeyboardEvent('keydown', {key: 'Enter', keyCode: 229, bubbles: true, cancelable: true})
)"""


@pytest.fixture(autouse=True)
def _alone(page: Page, gateway: Gateway) -> None:
    """No chats but one's own."""
    page.request.delete(f"{gateway.url}/threads")


def test_one_writes_at_once(site: Site) -> None:
    expect(site.composer).to_be_focused()
    site.answered("First")
    site.page.keyboard.press("Alt+n")
    site.answered("Second")
    site.chats.last.click()
    expect(site.questions).to_contain_text("First")
    expect(site.composer).to_be_focused()


@pytest.mark.thorough
def test_enter_sends_in_a_narrow_window_too(site: Site) -> None:
    site.page.set_viewport_size({"width": 390, "height": 740})
    site.ask("Narrow")
    expect(site.questions).to_have_count(1)


def test_enter_makes_a_line_where_the_page_is_touched(browser: Browser, gateway: Gateway) -> None:
    context = visitor(browser, has_touch=True, is_mobile=True, viewport={"width": 390, "height": 740})
    site = Site(context.new_page(), gateway.url)
    site.open()
    site.composer.fill("one")
    site.composer.press("Enter")
    expect(site.composer).to_have_value("one\n")
    expect(site.questions).to_have_count(0)
    context.close()


def test_enter_that_ends_a_composition_sends_nothing(site: Site) -> None:
    site.composer.fill("にほん")
    site.composer.evaluate(COMPOSED)
    expect(site.composer).to_have_value("にほん")
    site.answered("にほん")
    site.questions.first.hover()
    site.questions.first.get_by_role("button", name="Edit").click()
    edit = site.page.get_by_role("textbox", name="Edit")
    edit.evaluate(COMPOSED)
    expect(edit).to_be_visible()
    edit.press("Escape")
    site.page.locator("nav li").first.hover()
    site.button("Actions for this chat").click()
    site.page.get_by_role("menuitem", name="Rename").click()
    name = site.page.get_by_label("Name of the chat")
    name.evaluate(COMPOSED)
    expect(name).to_be_visible()


def test_copying_works_without_the_clipboard_of_secure_pages(page: Page, gateway: Gateway) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    site = Site(page, gateway.url)
    site.open()
    site.answered("Copy me")
    page.evaluate("document.addEventListener('copy', () => { window.taken = String(getSelection()); })")
    site.questions.first.hover()
    site.questions.first.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied").first).to_be_visible()
    page.evaluate("document.execCommand = () => false")
    site.questions.first.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Your browser does not allow copying here.").first).to_be_visible()


def test_two_tabs_keep_each_others_settings(site: Site, context: BrowserContext) -> None:
    other = Site(context.new_page(), site.url)
    other.open()
    for tab, label, value in ((site, "Theme", "dark"), (other, "Text size", "large")):
        tab.page.keyboard.press("Control+,")
        tab.page.get_by_label(label).select_option(value)
        tab.page.keyboard.press("Escape")
    assert other.page.evaluate("document.documentElement.dataset.theme") == "dark"
    site.page.reload()
    expect(site.composer).to_be_visible()
    assert (
        site.page.evaluate("[document.documentElement.dataset.theme, document.documentElement.dataset.size].join()")
        == "dark,large"
    )


@pytest.mark.thorough
def test_two_windows_that_ask_at_once_show_each_others_turns(site: Site, context: BrowserContext) -> None:
    site.answered("First")
    other = Site(context.new_page(), site.url)
    other.page.goto(site.page.url)
    expect(other.questions).to_have_count(1)
    site.choose("demo/hello")
    site.ask("From the one")
    site.begun()
    expect(other.questions).to_have_count(2)
    site.complete(site.answers.last)
    other.complete(other.answers.last)
    other.answered("From the other")
    expect(site.questions).to_have_count(3)
    expect(site.answers.last).to_contain_text("You said: “From the other”.")


def test_offline_is_what_the_gateway_says(page: Page, gateway: Gateway) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'onLine', {value: false})")
    site = Site(page, gateway.url)
    site.open()
    page.evaluate("dispatchEvent(new Event('offline'))")
    site.answered("Are you there?")
    expect(page.get_by_text("The gateway cannot be reached")).to_have_count(0)


@pytest.mark.thorough
def test_the_key_dialog_returns_to_the_chat_that_was_asked_for_and_a_forgotten_key_closes_it(browser: Browser) -> None:
    config = '[[server.keys]]\nname = "me"\nsecret = "sesame-sesame-sesame"\n'
    with running_gateway(config) as locked:
        page = visitor(browser).new_page()
        headers = {"Authorization": "Bearer sesame-sesame-sesame"}
        made = page.request.post(f"{locked.url}/threads", data={"title": "Wanted"}, headers=headers).json()
        ask = f"{locked.url}/threads/{made['id']}/messages/stream"
        page.request.post(ask, data={"content": "Inside", "model": "demo/hello"}, headers=headers).body()
        page.goto(f"{locked.url}/#/t/{made['id']}")
        page.get_by_role("textbox", name="Key").fill("sesame-sesame-sesame")
        page.get_by_role("button", name="Use this key").click()
        question = page.get_by_role("article", name="You")
        expect(question).to_contain_text("Inside")
        question.hover()
        question.get_by_role("button", name="Edit").click()
        page.get_by_role("textbox", name="Edit").fill("Only for me")
        page.keyboard.press("Control+,")
        page.get_by_role("button", name="Forget the key").click()
        expect(page.get_by_role("article", name="You")).to_have_count(0)
        expect(page.locator("nav li a")).to_have_count(0)
        expect(page.get_by_role("textbox", name="Key")).to_be_visible()
        assert "Only for me" not in page.evaluate("JSON.stringify(sessionStorage)")
        page.context.close()


def test_what_was_asked_with_a_key_that_is_forgotten_meanwhile_is_not_shown(browser: Browser) -> None:
    config = '[[server.keys]]\nname = "me"\nsecret = "sesame-sesame-sesame"\n'
    with running_gateway(config) as locked:
        page = visitor(browser).new_page()
        headers = {"Authorization": "Bearer sesame-sesame-sesame"}
        page.request.post(f"{locked.url}/threads", data={"title": "Wanted"}, headers=headers)
        held: list[Route] = []

        def hold(route: Route) -> None:
            held.append(route)

        page.route("**/threads?limit=50", hold)
        page.goto(locked.url)
        page.get_by_role("textbox", name="Key").fill("sesame-sesame-sesame")
        with page.expect_request("**/threads?limit=50"):
            page.get_by_role("button", name="Use this key").click()
        page.keyboard.press("Control+,")
        page.get_by_role("button", name="Forget the key").click()
        expect(page.get_by_role("textbox", name="Key")).to_be_visible()
        with page.expect_response(lambda response: "limit=50" in response.url and response.ok):
            for route in held:
                route.continue_()
        page.get_by_role("textbox", name="Key").fill("no such key")  # the page has taken its turn since the answer
        expect(page.locator("nav li a")).to_have_count(0)
        page.context.close()


def test_model_and_parameters_are_the_chats_own_and_survive_a_reload(site: Site) -> None:
    page = site.page
    site.answered("One")
    site.choose("quick/markdown")
    page.keyboard.press("Control+,")
    page.get_by_role("textbox", name="System prompt").fill("Be brief.")
    page.keyboard.press("Escape")
    site.page.keyboard.press("Alt+n")
    site.choose("quick/hello")
    page.keyboard.press("Control+,")
    expect(page.get_by_role("textbox", name="System prompt")).to_have_value("")
    page.keyboard.press("Escape")
    site.chats.first.click()
    site.until(lambda: site.kept()["settings"].get("system") == "Be brief.")
    page.reload()
    expect(page.locator(".model-button").first).to_contain_text("quick/markdown")
    page.keyboard.press("Control+,")
    expect(page.get_by_role("textbox", name="System prompt")).to_have_value("Be brief.")


def test_a_late_word_about_the_model_does_not_undo_what_was_typed_meanwhile(site: Site) -> None:
    page = site.page
    site.answered("One")
    held: list[Route] = []
    page.route("**/threads/*", lambda route: held.append(route) if not held else route.continue_())
    site.choose("quick/markdown")
    page.keyboard.press("Control+,")
    prompt = page.get_by_role("textbox", name="System prompt")
    prompt.fill("Be brief.")
    site.until(lambda: held)
    held[0].continue_()
    site.until(lambda: site.kept()["settings"].get("system") == "Be brief.")
    assert site.kept()["model"] == "quick/markdown"
    expect(prompt).to_have_value("Be brief.")


def test_what_was_typed_just_before_a_reload_is_kept(site: Site) -> None:
    site.answered("One")
    site.page.keyboard.press("Control+,")
    site.page.get_by_role("textbox", name="System prompt").fill("Be brief.")
    site.page.reload()
    site.until(lambda: site.kept()["settings"].get("system") == "Be brief.")


def test_a_negative_limit_is_not_accepted(site: Site) -> None:
    site.page.keyboard.press("Control+,")
    field = site.page.get_by_label("Longest answer, in tokens")
    field.fill("-5")
    field.press("Tab")
    expect(field).to_have_value("")
    assert site.page.evaluate("localStorage.getItem('llmproxy.max_tokens')") is None


def test_deleting_a_chat_stops_what_is_written_in_it(site: Site) -> None:
    site.choose("demo/slow")
    site.ask("Take your time")
    site.begun()
    site.page.locator("nav li").first.hover()
    site.button("Actions for this chat").click()
    site.page.get_by_role("menuitem", name="Delete").click()
    site.button("Undo").click()
    expect(site.answers.last).to_contain_text("Stopped.")
    assert site.in_flight() == []


def test_attachments_survive_a_switch_and_a_reload(site: Site) -> None:
    site.answered("Another chat")
    site.page.keyboard.press("Alt+n")
    pick(site, "dot.png", "image/png", DOT)
    expect(site.button("Remove dot.png")).to_be_visible()
    site.chats.first.click()
    expect(site.button("Remove dot.png")).to_have_count(0)
    site.page.keyboard.press("Alt+n")
    expect(site.button("Remove dot.png")).to_be_visible()
    site.page.reload()
    expect(site.button("Remove dot.png")).to_be_visible()
    site.answered("Look")
    site.page.keyboard.press("Alt+n")
    expect(site.button("Remove dot.png")).to_have_count(0)


def dropped(site: Site, event: str, target: str) -> None:
    site.page.evaluate(
        """([kind, target, body]) => {
            const items = new DataTransfer();
            items.items.add(new File([Uint8Array.from(atob(body), c => c.charCodeAt(0))], 'dot.png', {type: 'image/png'}));
            items.setData('text/plain', 'words');
            const how = {bubbles: true, cancelable: true};
            const event = kind === 'paste'
                ? new ClipboardEvent('paste', {...how, clipboardData: items})
                : new DragEvent('drop', {...how, dataTransfer: items});
            document.querySelector(target).dispatchEvent(event);
            window.prevented = event.defaultPrevented;
        }""",
        [event, target, b64encode(DOT).decode()],
    )


def test_text_that_is_pasted_with_a_picture_is_kept(site: Site) -> None:
    dropped(site, "paste", "#composer")
    expect(site.button("Remove dot.png")).to_be_visible()
    assert site.page.evaluate("window.prevented") is False  # so the browser pastes the words


@pytest.mark.thorough
def test_files_can_be_dropped_anywhere_on_the_window(site: Site) -> None:
    dropped(site, "drop", "nav")
    expect(site.button("Remove dot.png")).to_be_visible()


def test_answers_go_on_while_another_chat_is_shown(site: Site) -> None:
    site.choose("demo/hello")
    site.ask("In the background")
    site.begun()
    site.page.keyboard.press("Alt+n")
    expect(site.questions).to_have_count(0)
    site.chats.first.click()
    expect(site.answers.last.locator(".prose")).to_contain_text("Hello!")
    site.complete(site.answers.last)
    assert site.text() == site.stored()[-1]["content"]
