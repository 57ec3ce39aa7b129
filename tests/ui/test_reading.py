"""Reading: the place holds, nothing is hidden, no word disappears, and what was found is shown."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.gateway import Gateway
from tests.ui.browser import visitor
from tests.ui.cable import cable
from tests.ui.site import LOOK, Site

TOP = "document.querySelector('.scroller').scrollTop"
ROOM = "document.querySelector('.scroller').scrollHeight - document.querySelector('.scroller').clientHeight"


@pytest.fixture(autouse=True)
def _alone(page: Page, gateway: Gateway) -> None:
    """No chats but one's own."""
    page.request.delete(f"{gateway.url}/threads")


def at_rest(page: Page) -> None:
    """Waits for the end of a scroll that is smooth."""
    at, before = page.evaluate(TOP), None
    while at != before:
        page.wait_for_timeout(3 * LOOK)
        at, before = page.evaluate(TOP), at


def long_answer(site: Site) -> None:
    """One that is still being written, and higher than the window."""
    site.choose("endless/endless")
    site.ask("Tell me")
    expect(site.page.locator(".scroller")).to_be_visible()
    site.until(lambda: site.page.evaluate(f"{ROOM} > 300"))


def two_models(site: Site) -> None:
    site.button("Ask a second model too").click()
    site.page.locator(".composer .model-button").click()
    site.page.get_by_role("combobox", name="Search models").fill("quick/markdown")
    site.page.keyboard.press("Enter")


def compared(site: Site) -> Locator:
    """Two complete answers to one question."""
    two_models(site)
    site.ask("Compare")
    group = site.page.get_by_role("group", name="Answers to one question")
    expect(group.get_by_role("article")).to_have_count(2)
    for index in range(2):
        site.complete(group.get_by_role("article").nth(index))
    return group


def scrolled_up(page: Page, way: str) -> None:
    if way == "wheel":
        page.mouse.move(600, 200)
        page.mouse.wheel(0, -40)
    elif way == "bar":
        page.evaluate("document.querySelector('.scroller').scrollTop -= 30")
    else:
        page.locator(".scroller").click(position={"x": 5, "y": 100})
        page.keyboard.press("PageUp")


def test_scrolling_up_holds_the_place_while_an_answer_grows(site: Site) -> None:
    page = site.page
    page.set_viewport_size({"width": 900, "height": 420})
    long_answer(site)
    for way in ("wheel", "bar", "keys"):
        scrolled_up(page, way)
        expect(site.button("Jump to the latest words")).to_be_visible()
        at_rest(page)
        held, room = page.evaluate(TOP), page.evaluate(ROOM)
        grown = f"{ROOM} > {room} + 60"
        site.until(partial(page.evaluate, grown))
        assert page.evaluate(TOP) == held, way
        site.button("Jump to the latest words").click()
        expect(site.button("Jump to the latest words")).to_have_count(0)
        site.until(lambda: page.evaluate(f"{ROOM} - {TOP} < 2"))
    page.keyboard.press("Escape")


@pytest.mark.thorough
def test_a_selection_survives_in_a_growing_paragraph(site: Site) -> None:
    site.choose("demo/slow")
    site.ask("Tell me")
    site.begun(beyond=20)
    chosen = site.page.evaluate(
        """() => {
            const text = document.querySelector('.answer .prose p').firstChild;
            getSelection().setBaseAndExtent(text, 0, text, 12);
            return String(getSelection());
        }"""
    )
    site.begun(beyond=len(site.text()) + 20)
    assert site.page.evaluate("String(getSelection())") == chosen
    site.page.keyboard.press("Escape")


@pytest.mark.thorough
def test_a_follow_up_to_compared_answers_is_asked_of_one_that_is_shown(site: Site) -> None:
    group = compared(site)
    site.button("Ask a second model too").click()
    site.ask("And then?")
    for _ in range(2):
        expect(site.questions).to_have_count(2)
        expect(site.answers.last).to_contain_text("You said: “And then?”.")
        expect(group.get_by_role("article")).to_have_count(2)
        shown = group.locator(".current").get_attribute("data-answer")
        assert next(one for one in site.stored() if one["content"] == "And then?")["parent_id"] == shown
        site.page.reload()


@pytest.mark.thorough
def test_compared_answers_can_be_copied_and_asked_for_again(site: Site) -> None:
    group = compared(site)
    first = group.get_by_role("article").first
    first.locator(".tools").get_by_role("button", name="Copy", exact=True).click()
    assert "You said: “Compare”." in site.page.evaluate("navigator.clipboard.readText()")
    first.get_by_role("button", name="Answer again").click()
    expect(group.get_by_role("article")).to_have_count(3)


WORDS = """A List<String> on <branch-name>, $PATH, $5 and $10.

> [!WARNING]
> Mind the gap

So it is[^1].

<details>
<summary>Fold</summary>

- hidden **words**

</details>

\\begin{align} a &= b + c \\\\ d + e + f &= g \\end{align}

$\\ce{H2O}$

[^1]: A note
"""


def test_no_word_of_an_answer_disappears(site: Site) -> None:
    site.choose("parrot")
    prose = site.answered(f"say:{WORDS}").locator(".prose")
    expect(prose).to_contain_text("A List<String> on <branch-name>, $PATH, $5 and $10.")
    expect(prose.locator("blockquote.warning")).to_contain_text("Warning")
    expect(prose.locator("blockquote")).not_to_contain_text("[!")
    prose.get_by_text("Fold").click()
    expect(prose.get_by_text("hidden words")).to_be_visible()
    expect(prose.locator("math")).to_have_count(2)
    rights = (
        prose.locator("mtable[columnalign] > mtr > mtd:has(mi)")
        .filter(has_not_text="=")
        .evaluate_all(
            "cells => cells.map(cell => Math.round([...cell.querySelectorAll('mi')].at(-1).getBoundingClientRect().right))"
        )
    )
    assert max(rights) - min(rights) <= 1
    prose.get_by_role("button", name="Footnote 1").click()
    expect(prose.locator("[data-note-text]")).to_be_focused()


def test_every_citation_is_a_link_and_nothing_else_is(site: Site) -> None:
    site.choose("perplexity/sonar-pro")
    answer = site.answered("say:Both[1][2], and both [1, 2]; a[1] and `x[2]` are not.")
    expect(answer.locator(".prose a.cite")).to_have_text(["1", "2", "1", "2"])


@pytest.mark.thorough
def test_sources_that_the_text_names_itself_are_linked(site: Site) -> None:
    site.choose("parrot")
    answer = site.answered("say:Water boils [1].\n\n[1]: https://a.example/boiling")
    expect(answer.locator(".prose a.cite")).to_have_attribute("href", "https://a.example/boiling")


IN_ORDER = """answer => {
    const [before, after] = [...answer.querySelectorAll('.prose')].map(one => one.getBoundingClientRect());
    const image = answer.querySelector('img').getBoundingClientRect();
    const sound = answer.querySelector('audio').getBoundingClientRect();
    return before.bottom <= image.top && image.bottom <= after.top && after.bottom <= sound.top;
}"""


def drawn(site: Site, answer: Locator) -> None:
    """Waits for the painter's picture and its sound, each in its place."""
    image, sound = answer.get_by_role("img", name="Generated image"), answer.get_by_label("Generated sound")
    expect(image).to_be_visible()
    site.until(lambda: image.evaluate("image => image.naturalWidth"))
    site.until(lambda: sound.evaluate("sound => Math.abs(sound.duration - 0.1) < 0.01"))
    site.until(lambda: answer.evaluate(IN_ORDER))
    expect(answer).to_contain_text("Nearly nothing.")
    expect(answer).to_contain_text("Image not loaded: https://elsewhere.example/dot.png")


def test_generated_images_and_sound_are_shown_in_their_place_and_kept(site: Site) -> None:
    site.choose("painter/painter")
    drawn(site, site.answered("Draw"))
    site.page.reload()
    drawn(site, site.answers.last)
    assert [part["type"] for part in site.stored()[-1]["parts"]] == ["text", "image", "text", "audio", "image"]
    with site.page.expect_download() as saved:
        site.chat_menu("Export as a web page")
    bare = site.page.context.new_page()
    bare.set_content(Path(saved.value.path()).read_text())
    site.until(lambda: bare.locator("img").evaluate("image => image.naturalWidth"))
    site.until(lambda: bare.locator("audio").evaluate("sound => Math.abs(sound.duration - 0.1) < 0.01"))
    expect(bare.get_by_text("Nearly nothing.")).to_be_visible()


@pytest.mark.thorough
def test_a_hit_opens_its_thread_at_the_hit_while_another_is_open(site: Site) -> None:
    site.choose("parrot")
    site.answered("say:heliotrope\n\n" + "line\n\n" * 80)
    for number in range(3):
        site.answered(f"say:{number}" + "\n\nfiller" * 40)
    site.page.keyboard.press("Alt+n")
    site.answered("say:Something else")
    fetched: list[str] = []
    site.page.on("request", lambda request: fetched.append(request.url) if "/messages" in request.url else None)
    site.page.keyboard.press("Control+k")
    site.page.get_by_role("searchbox", name="Search chats").fill("heliotrope")
    site.page.locator("nav mark").last.click()
    expect(site.page.locator(".sought")).to_contain_text("heliotrope")
    expect(site.page.locator(".sought").get_by_text("heliotrope")).to_be_in_viewport()
    assert len(fetched) == 1


def test_a_hit_is_shown_on_its_own_branch(site: Site) -> None:
    site.choose("parrot/parrot")
    site.answered("say:heliotrope")
    site.answered("say:and then")
    site.questions.first.hover()
    site.questions.first.get_by_role("button", name="Edit").click()
    site.page.get_by_role("textbox", name="Edit").fill("say:gardenia")
    site.page.keyboard.press("Enter")
    expect(site.answers).to_have_count(1)
    site.complete(site.answers.last)
    site.page.keyboard.press("Alt+n")
    expect(site.answers).to_have_count(0)
    site.page.keyboard.press("Control+k")
    site.page.get_by_role("searchbox", name="Search chats").fill("heliotrope")
    site.page.locator("nav mark").last.click()
    expect(site.page.locator(".sought")).to_contain_text("heliotrope")
    expect(site.page.locator("[data-versions]").first).to_contain_text("1/2")
    expect(site.answers).to_have_count(2)


@pytest.mark.thorough
def test_words_are_found_inside_sentences_without_spaces(site: Site) -> None:
    site.choose("parrot/parrot")
    for text, word in (("東京は日本の首都です。", "首都"), ("我们明天去图书馆。", "图书馆"), ("วันนี้อากาศดีมาก", "อากาศ")):
        site.answered(f"say:{text}")
        site.page.keyboard.press("Control+k")
        site.page.get_by_role("searchbox", name="Search chats").fill(word)
        expect(site.page.locator("nav mark").first).to_contain_text(word)
        site.page.get_by_role("searchbox", name="Search chats").fill("")


@pytest.mark.thorough
def test_switching_a_branch_keeps_the_place(site: Site) -> None:
    site.choose("parrot")
    site.answered("say:" + "before\n\n" * 40)
    site.answered("say:" + "long\n\n" * 60)
    site.answers.last.hover()
    site.answers.last.get_by_role("button", name="Answer again").click()
    expect(site.page.locator("[data-versions]")).to_contain_text("2/2")
    site.complete(site.answers.last)
    site.answers.last.scroll_into_view_if_needed()
    top = "document.querySelector('[data-message]:last-child').getBoundingClientRect().top"
    before = site.page.evaluate(top)
    site.button("Previous version").click()
    expect(site.page.locator("[data-versions]")).to_contain_text("1/2")
    assert abs(site.page.evaluate(top) - before) < 3


@pytest.mark.thorough
def test_the_list_of_chats_does_not_shrink_after_an_answer(site: Site) -> None:
    for number in range(60):
        site.page.request.post(f"{site.url}/threads", data={"title": f"Chat {number}"})
    site.page.reload()
    site.button("Show older chats").click()
    expect(site.chats).to_have_count(60)
    site.answered("One more")
    expect(site.chats).to_have_count(61)


def test_the_list_of_chats_comes_when_the_gateway_is_back(returning: Page, gateway: Gateway) -> None:
    page = returning
    page.request.post(f"{gateway.url}/threads", data={"title": "Kept"})
    with cable(gateway.url) as (line, address):
        page.goto(address)
        expect(page.locator("nav li a")).to_have_count(1)
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        page.reload()
        line.pull()
        page.reload()
        expect(page.get_by_text("The gateway cannot be reached. You can read")).to_be_visible()
        expect(page.get_by_text("Your chats will be listed here.")).to_have_count(0)
        line.put_back()
        expect(page.locator("nav li a")).to_have_count(1)


def test_words_run_in_their_own_direction(site: Site) -> None:
    site.choose("parrot")
    prose = site.answered("say:שלום עולם\n\n- פריט\n\nplain words\n\n`code`").locator(".prose")
    direction = "element => getComputedStyle(element).direction"
    assert prose.locator("p").first.evaluate(direction) == "rtl"
    assert prose.locator("ul").evaluate(direction) == "rtl"
    assert prose.locator("p").filter(has_text="plain").evaluate(direction) == "ltr"


def test_print_shows_the_whole_thread_and_nothing_else(site: Site) -> None:
    site.choose("parrot")
    for number in range(3):
        site.answered(f"say:{number}" + "\n\nfiller" * 30)
    site.page.emulate_media(media="print")
    expect(site.composer).to_be_hidden()
    expect(site.page.locator("nav")).to_be_hidden()
    height = site.page.locator(".scroller").evaluate("element => element.clientHeight")
    assert height > 2000
    assert site.page.evaluate("document.documentElement.scrollHeight") >= height
    site.page.emulate_media(media="screen")


def test_forced_colours_show_stop(site: Site) -> None:
    site.page.emulate_media(forced_colors="active")
    site.choose("demo/slow")
    site.ask("Tell me")
    square = site.page.locator(".square")
    expect(square).to_be_visible()
    colour = "element => getComputedStyle(element).backgroundColor"
    assert square.evaluate(colour) != site.page.locator(".go").evaluate(colour)
    site.page.keyboard.press("Escape")


def imported(page: Page, url: str, turns: int) -> str:
    """A thread of so many questions with their answers, as the gateway names it."""
    messages = []
    for number in range(turns):
        parent = f"a{number - 1}" if number else None
        question = {"id": f"q{number}", "parent_id": parent, "role": "user", "content": f"question {number}"}
        answer = {"id": f"a{number}", "parent_id": f"q{number}", "role": "assistant", "content": f"**answer** {number}"}
        messages += [{**one, "state": "complete"} for one in (question, answer)]
    about = {"title": "Long", "settings": {}, "created_at": 1, "updated_at": 1, "pinned": False}
    whole = {**about, "head": f"a{turns - 1}", "messages": messages}
    made = {"format": "llmproxy-threads", "version": 1, "threads": [whole]}
    return str(page.request.post(f"{url}/threads/import", data=made).json()["threads"][0])


@pytest.mark.parametrize("turns", [100, pytest.param(1000, marks=pytest.mark.thorough)])
def test_a_long_thread_opens_at_once_and_is_all_there(browser: Browser, gateway: Gateway, turns: int) -> None:
    page = visitor(browser).new_page()
    thread = imported(page, gateway.url, turns)
    page.goto(f"{gateway.url}/#/activity")
    expect(page.get_by_role("heading", name="Activity")).to_be_visible()
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url) if "/messages?" in request.url else None)
    page.evaluate(
        """id => {
            new MutationObserver((_, self) => {
                window.built = document.querySelectorAll('[data-message]').length;
                if (window.built) self.disconnect();
            }).observe(document.body, {subtree: true, childList: true});
            location.hash = `#/t/${id}`;
        }""",
        thread,
    )
    expect(page.get_by_text(f"answer {turns - 1}")).to_be_visible()
    assert page.evaluate("window.built") == 30  # what fills a window is seen before the rest is built,
    assert fetched[0].endswith("?tail=60")  # or fetched
    expect(page.locator("[data-message]")).to_have_count(2 * turns)
    page.context.close()


WATCHED = """[...document.querySelectorAll('.scroller *')]
    .filter(one => getComputedStyle(one).contentVisibility === 'auto').length"""


def test_the_browser_watches_few_elements_of_a_long_thread(site: Site) -> None:
    """What may be left out of the layout is looked at in every frame, so it is a group of messages, not each."""
    site.page.goto(f"{site.url}/#/t/{imported(site.page, site.url, 40)}")
    expect(site.page.locator("[data-message]")).to_have_count(80)
    assert 0 < site.page.evaluate(WATCHED) <= 80 / 8
    site.page.emulate_media(media="print")
    assert site.page.evaluate(WATCHED) == 0  # all of it is printed
    site.page.emulate_media(media="screen")


def test_messages_that_come_before_and_after_leave_the_shown_ones_as_they_are(site: Site) -> None:
    site.page.goto(f"{site.url}/#/t/{imported(site.page, site.url, 50)}")
    expect(site.page.get_by_text("answer 49")).to_be_visible()
    mark = "document.querySelectorAll('[data-message]').forEach(one => (one.dataset.known = ''))"
    site.page.evaluate(mark)
    known = site.page.locator("[data-known]").count()
    expect(site.page.locator("[data-message]")).to_have_count(100)
    expect(site.page.locator("[data-known]")).to_have_count(known)
    site.page.evaluate(mark)
    site.answered("And now?")
    expect(site.page.locator("[data-message]")).to_have_count(102)
    expect(site.page.locator("[data-known]")).to_have_count(100)


def test_nothing_jumps_to_the_end_of_a_thread_that_fits_in_the_window(site: Site) -> None:
    site.choose("parrot/parrot")
    site.answered("say:heliotrope")
    site.page.keyboard.press("Control+k")
    site.page.get_by_role("searchbox", name="Search chats").fill("heliotrope")
    site.page.locator("nav mark").last.click()
    expect(site.page.locator(".sought")).to_contain_text("heliotrope")
    expect(site.button("Jump to the latest words")).to_have_count(0)
