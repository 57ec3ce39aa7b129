"""The page around the answers: attachments, settings, keys, narrow windows, dark rooms, other senses."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.gateway import Gateway, running_gateway
from tests.ui.browser import visitor
from tests.ui.site import Site

AXE = Path(__file__).parents[2] / "ui" / "node_modules" / "axe-core" / "axe.min.js"


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


DOT = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(b"\0\0"))
    + _chunk(b"IEND", b"")
)


SILENCE = (
    b"RIFF"
    + struct.pack("<I4s4sIHHIIHH", 36 + 800, b"WAVE", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8)
    + struct.pack("<4sI", b"data", 800)
    + b"\x80" * 800
)


EVERYTHING = """- [ ] buy milk
- [x] sleep

> [!NOTE]
> mind

So[^1].

[^1]: a note

<details><summary>more</summary>

here

</details>
"""


def pick(site: Site, name: str, kind: str, body: bytes) -> None:
    file = FilePayload(name=name, mimeType=kind, buffer=body)
    site.page.locator(".composer input[type=file]").set_input_files([file])


def test_an_image_travels_with_the_question(site: Site) -> None:
    pick(site, "dot.png", "image/png", DOT)
    expect(site.button("Remove dot.png")).to_be_visible()
    site.answered("Look")
    expect(site.questions.last.get_by_alt_text("Attached image")).to_be_visible()
    parts = site.stored()[0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url"]


def test_a_large_image_is_scaled_down(site: Site) -> None:
    site.page.evaluate(
        """async () => {
            const canvas = new OffscreenCanvas(4000, 1000);
            canvas.getContext('2d').fillRect(0, 0, 4000, 1000);
            const items = new DataTransfer();
            items.items.add(new File([await canvas.convertToBlob({type: 'image/jpeg'})], 'wide.jpg', {type: 'image/jpeg'}));
            document.getElementById('composer').dispatchEvent(new ClipboardEvent('paste', {clipboardData: items, bubbles: true}));
        }"""
    )
    preview = site.page.locator(".composer li img")
    expect(preview).to_be_visible()
    assert preview.evaluate("async image => { await image.decode(); return image.naturalWidth; }") == 1568


def test_a_text_file_travels_as_text(site: Site) -> None:
    site.choose("parrot")
    pick(site, "notes.txt", "text/plain", b"remember the milk")
    answer = site.answered("Read")
    expect(site.questions.last).to_contain_text("notes.txt")
    expect(answer).to_contain_text("remember the milk")


def test_a_model_that_cannot_take_a_file_says_so_before_it_is_asked(site: Site) -> None:
    pick(site, "paper.pdf", "application/pdf", b"%PDF-1.4")
    expect(site.page.get_by_role("alert")).to_contain_text("quick/hello cannot take files such as PDF.")
    site.composer.fill("Read")
    expect(site.button("Send")).to_be_disabled()
    site.button("Remove paper.pdf").click()
    expect(site.button("Send")).to_be_enabled()


def test_a_pdf_travels_whole_to_a_model_that_may_take_it(site: Site) -> None:
    site.choose("parrot")
    pick(site, "paper.pdf", "application/pdf", b"%PDF-1.4")
    expect(site.answered("Read")).to_contain_text("[file]")
    expect(site.questions.last).to_contain_text("paper.pdf")
    file = site.stored()[0]["content"][1]["file"]
    assert file == {
        "filename": "paper.pdf",
        "file_data": f"data:application/pdf;base64,{b64encode(b'%PDF-1.4').decode()}",
    }


def test_audio_travels_with_the_question_and_can_be_heard_again(site: Site) -> None:
    site.choose("parrot")
    pick(site, "word.wav", "audio/wav", SILENCE)
    expect(site.answered("Listen")).to_contain_text("[input_audio]")
    audio = site.stored()[0]["content"][1]["input_audio"]
    assert audio == {"data": b64encode(SILENCE).decode(), "format": "wav"}
    player = site.questions.last.get_by_label("Attached audio")
    assert (
        player.evaluate("audio => new Promise(done => { audio.oncanplay = () => done(audio.duration); audio.load(); })")
        > 0
    )


@pytest.mark.thorough
def test_a_model_that_cannot_hear_says_so_before_it_is_asked(site: Site) -> None:
    pick(site, "word.wav", "audio/x-wav", SILENCE)
    expect(site.page.get_by_role("alert")).to_contain_text("quick/hello cannot take audio.")


def test_a_file_that_nobody_could_read_is_refused(site: Site) -> None:
    pick(site, "a.bin", "application/octet-stream", b"\x00\xff\x00")
    expect(site.page.get_by_text("a.bin is neither an image")).to_be_visible()


def test_settings_are_kept_and_sent(site: Site) -> None:
    site.page.keyboard.press("Control+,")
    site.page.get_by_label("Theme").select_option("dark")
    site.page.get_by_label("Longest answer, in tokens").fill("3")
    site.page.keyboard.press("Tab")
    site.page.keyboard.press("Escape")
    site.open()
    assert site.page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    expect(site.answered("Hello")).to_contain_text("The answer reached its length limit.")


def test_what_is_being_written_survives_a_reload(site: Site) -> None:
    site.composer.fill("Half a thought")
    site.page.reload()
    expect(site.composer).to_have_value("Half a thought")


def test_a_preset_is_saved_and_chosen(site: Site) -> None:
    page = site.page
    page.keyboard.press("Control+,")
    page.get_by_role("textbox", name="System prompt").fill("Be brief.")
    page.get_by_label("Name of the preset").fill("Brief")
    site.button("Save as preset").click()
    page.get_by_role("textbox", name="System prompt").fill("")
    page.locator("select[name=preset]").select_option("")
    page.locator("select[name=preset]").select_option("Brief")
    expect(page.get_by_role("textbox", name="System prompt")).to_have_value("Be brief.")


def test_everything_can_be_done_from_the_keyboard(site: Site) -> None:
    keyboard = site.page.keyboard
    keyboard.press("Alt+m")
    keyboard.type("quick/hello")
    expect(site.page.get_by_role("option").first).to_be_visible()
    keyboard.press("Enter")
    expect(site.composer).to_be_focused()
    keyboard.type("By hand")
    keyboard.press("Enter")
    site.complete(site.answers.last)
    keyboard.press("Alt+c")
    expect(site.page.get_by_text("Copied").first).to_be_visible()
    assert "You said: “By hand”." in site.page.evaluate("navigator.clipboard.readText()")
    keyboard.press("Alt+n")
    expect(site.composer).to_be_focused()
    keyboard.press("Control+k")
    expect(site.page.get_by_role("searchbox")).to_be_focused()
    keyboard.press("Escape")
    expect(site.composer).to_be_focused()
    site.page.locator("body").click(position={"x": 700, "y": 100})
    keyboard.press("/")
    expect(site.composer).to_be_focused()
    site.page.locator("body").click(position={"x": 700, "y": 100})
    keyboard.press("?")
    expect(site.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    keyboard.press("Escape")
    expect(site.page.get_by_role("dialog")).to_have_count(0)


def test_a_narrow_window_shows_everything_without_scrolling_sideways(site: Site) -> None:
    page = site.page
    page.set_viewport_size({"width": 360, "height": 740})
    site.choose("quick/markdown")
    site.composer.fill("Show me")
    site.button("Send").click()
    site.complete(site.answers.last)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.locator(".scroller").evaluate("element => element.scrollWidth <= element.clientWidth")
    site.button("Ask a second model too").click()
    name = page.locator(".composer .model-button")
    expect(name).to_contain_text("fast")
    cut = "button => [button, ...button.querySelectorAll('*')].some(one => one.scrollWidth > one.clientWidth + 1)"
    assert not name.evaluate(cut)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    site.button("Ask a second model too").click()
    site.button("Open the list of chats").click()
    expect(site.chats.first).to_be_visible()
    page.keyboard.press("Escape")
    expect(site.chats).to_have_count(0)
    expect(site.button("Open the list of chats")).to_be_focused()


@pytest.mark.thorough
def test_controls_are_large_enough_for_a_thumb(site: Site) -> None:
    page = site.page
    page.set_viewport_size({"width": 360, "height": 740})
    small = page.evaluate(
        """() => [...document.querySelectorAll('main button')].filter((button) => {
            const {width, height} = button.getBoundingClientRect();
            return width > 0 && (width < 44 || height < 44);
        }).map((button) => button.ariaLabel)"""
    )
    assert small == []


def test_the_system_decides_between_light_and_dark(site: Site) -> None:
    def lightness() -> int:
        return int(site.page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0])"))

    site.page.emulate_media(color_scheme="light")
    assert lightness() > 200
    site.page.emulate_media(color_scheme="dark")
    assert lightness() < 50


def test_a_screen_reader_hears_whole_sentences(site: Site) -> None:
    site.choose("demo/hello")
    site.page.evaluate(
        """() => {
            const region = document.querySelector('[aria-live=polite]');
            window.heard = [];
            new MutationObserver(() => window.heard.push(region.textContent))
                .observe(region, {childList: true, characterData: true, subtree: true});
        }"""
    )
    site.answered("Speak")
    heard = [words for words in site.page.evaluate("window.heard") if words]
    assert all(words.rstrip("”\"')")[-1] in ".!?:" for words in heard), heard
    assert len(heard) > 1


@pytest.mark.thorough
@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed (npm ci in ui/)")
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.thorough)])
def test_axe_finds_nothing(site: Site, scheme: str) -> None:
    page = site.page
    page.emulate_media(
        color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce"
    )  # no colours in between
    found = audit(page, scheme)
    site.choose("quick/markdown")
    site.answered("Show me")
    found += audit(page, scheme)
    site.choose("parrot")
    site.answered(f"say:{EVERYTHING}")
    found += audit(page, scheme)
    site.choose("painter/painter")
    expect(site.answered("Draw").get_by_label("Generated sound")).to_be_visible()
    found += audit(page, scheme)
    page.locator("nav li").first.hover()
    page.get_by_role("button", name="Actions for this chat").first.click()
    found += audit(page, scheme)
    page.keyboard.press("Escape")
    page.locator(".model-button").first.click()
    found += audit(page, scheme)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+,")
    expect(page.get_by_role("dialog")).to_be_visible()
    found += audit(page, scheme)
    page.goto(f"{site.url}/#/activity")
    expect(page.get_by_role("heading", name="Over time")).to_be_visible()
    found += audit(page, scheme)
    assert not found, "\n".join(found)


def audit(page: Page, scheme: str = "light") -> list[str]:
    """All findings of axe, each with the first elements concerned; in dark those about colours.

    Run as a debugger would: the CSP stands.
    """
    session = page.context.new_cdp_session(page)
    session.send("Runtime.evaluate", {"expression": AXE.read_text()})
    only = "runOnly: ['color-contrast', 'link-in-text-block'], " if scheme == "dark" else ""
    run = f"axe.run({{{only}resultTypes: ['violations']}}).then(r => r.violations)"
    answer = session.send("Runtime.evaluate", {"expression": run, "awaitPromise": True, "returnByValue": True})
    found = answer["result"]["value"]
    return [f"{one['id']}: {[node['html'][:160] for node in one['nodes'][:3]]}" for one in found]


def test_the_activity_page_shows_and_stops_what_runs(site: Site) -> None:
    site.choose("demo/slow")
    site.ask("Run")
    expect(site.answers.last.locator(".prose")).to_be_visible()
    site.page.goto(f"{site.url}/#/activity")
    row = site.page.get_by_role("row").filter(has_text="slow").first
    row.get_by_role("button", name="Stop").click()
    expect(site.page.get_by_text("Nothing runs at the moment.")).to_be_visible()
    assert site.in_flight() == []
    expect(site.page.locator(".plot canvas")).to_have_count(4)


def test_a_gateway_with_a_key_asks_for_it(browser: Browser) -> None:
    config = '[[server.keys]]\nname = "me"\nsecret = "sesame-sesame-sesame"\n'
    with running_gateway(config) as locked:
        page = visitor(browser).new_page()
        page.goto(locked.url)
        page.get_by_role("textbox", name="Key").fill("wrong")
        page.get_by_role("button", name="Use this key").click()
        expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("The gateway refused this key.")
        page.get_by_role("textbox", name="Key").fill("sesame-sesame-sesame")
        page.get_by_role("button", name="Use this key").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.locator(".model-button")).to_contain_text("demo/hello")
        assert page.evaluate("localStorage.getItem('llmproxy.key')") is None
        page.context.close()


def test_the_shell_opens_without_a_network(returning: Page, gateway: Gateway) -> None:
    page = returning
    site = Site(page, gateway.url)
    site.open()
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.reload()
    page.context.set_offline(True)
    page.reload()
    expect(site.composer).to_be_visible()
    expect(page.get_by_text("The gateway cannot be reached. You can read")).to_be_visible()
    page.context.set_offline(False)


def test_the_first_load_is_small_and_local(page: Page, gateway: Gateway) -> None:
    """Compressed bytes over the wire until the page can be used, as Chromium counts them."""
    sizes: list[int] = []
    hosts: set[str] = set()
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: sizes.append(int(event["encodedDataLength"])))
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    Site(page, gateway.url).open()
    assert hosts == {gateway.url.removeprefix("http://")}
    assert 20_000 < sum(sizes) < 120_000
