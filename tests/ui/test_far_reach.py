"""Commands by name, four answers at once, word of an answer in the background, previews without network, Word documents."""

from __future__ import annotations

import io
import zipfile

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.gateway import Gateway
from tests.ui.site import DONE, Site
from tests.waiting import until

pytestmark = pytest.mark.thorough

HTML = """```html
<style>p { color: rgb(1, 2, 3) }</style><p id="p">before</p>
<script>
document.getElementById('p').textContent = 'ran';
const tried = [];
try { parent.document; tried.push('parent') } catch {}
try { localStorage.length; tried.push('storage') } catch {}
fetch('EVIL/a').then(() => tried.push('net'), () => tried.push('kept')).finally(() => {
  new Image().src = 'EVIL/b.png';
  document.getElementById('p').textContent += ' ' + tried.join();
  document.getElementById('p').onclick = () => { location = 'EVIL/c' };
});
</script>
```"""
WORD = (
    '<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
    "<w:p><w:r><w:t>Remember</w:t></w:r><w:r><w:t> the milk</w:t></w:r></w:p><w:p><w:r><w:t>and tea</w:t></w:r></w:p>"
    "</w:body></w:document>"
)


def told(site: Site, text: str) -> None:
    site.choose("parrot")
    site.answered(f"say:{text}")


def test_the_palette_does_what_it_names_by_keys_only(site: Site) -> None:
    site.answered("Find this chat")
    site.page.keyboard.press("Alt+n")
    expect(site.questions).to_have_count(0)
    site.page.keyboard.press("Alt+p")
    expect(site.page.get_by_role("combobox")).to_be_focused()
    site.page.keyboard.type("find this chat")
    expect(site.page.get_by_role("option")).to_have_count(1)
    site.page.keyboard.press("Enter")
    expect(site.questions.last).to_contain_text("Find this chat")
    site.page.keyboard.press("Alt+p")
    expect(site.page.get_by_role("combobox")).to_be_focused()
    site.page.keyboard.type("dark")
    expect(site.page.get_by_role("option").first).to_contain_text("Dark theme")
    site.page.keyboard.press("Enter")
    expect(site.page.locator("html")).to_have_attribute("data-theme", "dark")
    site.page.keyboard.press("Alt+p")
    expect(site.page.get_by_role("combobox")).to_be_focused()
    site.page.keyboard.type("answer with quick/reasoning")
    expect(site.page.get_by_role("option").first).to_contain_text("quick/reasoning")
    site.page.keyboard.press("Enter")
    expect(site.page.locator(".model-button").first).to_contain_text("quick/reasoning")


@pytest.mark.thorough
def test_four_models_answer_side_by_side(site: Site) -> None:
    site.button("Ask a second model too").click()
    site.button("One more model").click()
    site.button("One more model").click()
    expect(site.button("One more model")).to_have_count(0)
    for name, model in (("Second", "quick/markdown"), ("Third", "quick/reasoning"), ("Fourth", "quick/long")):
        site.page.get_by_role("button", name=f"{name} model:").click()
        site.page.get_by_role("combobox", name="Search models").fill(model)
        site.page.keyboard.press("Enter")
    site.ask("Hello")
    sides = site.page.locator(".compare .side")
    expect(sides).to_have_count(4, timeout=DONE)
    for answer in site.answers.all():
        site.complete(answer)
    asked = {one["model"] for one in site.stored() if one["role"] == "assistant"}
    assert asked == {"hello", "markdown", "reasoning", "long"}


def test_an_answer_in_the_background_is_told_by_its_chats_name_only(page: Page, gateway: Gateway) -> None:
    page.context.grant_permissions(["notifications"])
    page.add_init_script(
        """window.told = [];
        window.Notification = class {
            static permission = 'granted';
            static requestPermission = async () => 'granted';
            constructor(title, options) { told.push([title, options.body]); window.last = this; }
            close() {}
        };"""
    )
    site = Site(page, gateway.url)
    site.open()
    page.keyboard.press("Control+,")
    page.get_by_label("Say when an answer is done").check()
    page.keyboard.press("Escape")
    site.choose("demo/hello")
    site.ask("Quiet question")
    site.begun()
    page.get_by_role("link", name="New chat").click()
    until(lambda: page.evaluate("told.length") == 1, "a notification")
    assert page.evaluate("told[0]") == ["Quiet question", "The answer is complete."]
    page.evaluate("last.onclick()")
    expect(site.questions.last).to_contain_text("Quiet question")


@pytest.mark.thorough
def test_an_answer_that_is_watched_is_not_told(page: Page, gateway: Gateway) -> None:
    page.add_init_script(
        """localStorage.setItem('llmproxy.notify', 'true'); window.told = [];
        window.Notification = class { static permission = 'granted'; constructor(title) { told.push(title); } };"""
    )
    site = Site(page, gateway.url)
    site.open()
    site.answered("Hello")
    assert page.evaluate("told") == []


def test_a_preview_runs_without_network_and_without_reach(
    site: Site, page: Page, elsewhere: tuple[str, list[str]]
) -> None:
    url, asked = elsewhere
    assert page.request.get(f"{url}/there").status == 204
    told(site, HTML.replace("EVIL", url))
    page.get_by_role("button", name="Preview", exact=True).last.click()
    frame = page.frame_locator("iframe.preview")
    expect(frame.locator("#p")).to_have_text("ran kept")
    expect(frame.locator("#p")).to_have_css("color", "rgb(1, 2, 3)")
    frame.locator("#p").click()
    expect(frame.locator("#p")).to_have_count(0)  # it is led nowhere: to the browser's word that this is not allowed
    page.get_by_role("button", name="Preview", exact=True).last.click()
    expect(page.locator("iframe")).to_have_count(0)
    assert asked == ["/there"]
    site.complaints.clear()  # the browser says what it has refused


def test_a_word_document_travels_as_text(site: Site) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", WORD)
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    site.choose("parrot")
    file = FilePayload(name="list.docx", mimeType=kind, buffer=made.getvalue())
    site.page.locator(".composer input[type=file]").set_input_files([file])
    answer = site.answered("Read")
    expect(answer).to_contain_text("Remember the milk")
    expect(answer).to_contain_text("and tea")


def pdf(words: str) -> bytes:
    """One page with these words; what is in it is found without a table of places."""
    stream = f"BT /F1 12 Tf 20 100 Td ({words}) Tj ET".encode()
    return (
        b"%%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>endobj\n"
        b"4 0 obj<</Length %d>>stream\n%b\nendstream endobj\n"
        b"5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\ntrailer<</Root 1 0 R>>\n%%%%EOF"
    ) % (len(stream), stream)


def attach_pdf(site: Site, body: bytes) -> None:
    file = FilePayload(name="paper.pdf", mimeType="application/pdf", buffer=body)
    site.page.locator(".composer input[type=file]").set_input_files([file])


def test_a_pdf_travels_as_text_to_a_model_that_takes_no_files(site: Site) -> None:
    attach_pdf(site, pdf("Remember the cheese"))
    site.button("Send it as text").click()
    expect(site.page.get_by_role("alert")).to_have_count(0)
    site.answered("Read")
    content = site.stored()[0]["content"]
    assert "Remember the cheese" in str(content)
    assert [part["type"] for part in content] == ["text", "text"]
    site.complaints.clear()  # pdf.js says that the file has no table of places


@pytest.mark.thorough
def test_a_pdf_without_words_is_said(site: Site) -> None:
    attach_pdf(site, pdf(""))
    site.button("Send it as text").click()
    expect(site.page.get_by_text("paper.pdf has no words in it that could be read").first).to_be_visible()
    expect(site.button("Remove paper.pdf")).to_be_visible()
    site.complaints.clear()


@pytest.mark.thorough
def test_on_a_phone_four_models_fit(site: Site) -> None:
    site.page.set_viewport_size({"width": 390, "height": 800})
    for _ in range(3):
        name = "Ask a second model too" if _ == 0 else "One more model"
        site.button(name).click()
    assert site.page.evaluate("document.documentElement.scrollWidth") <= 390
    site.page.keyboard.press("Alt+p")
    expect(site.page.get_by_role("dialog")).to_be_visible()
    assert site.page.evaluate("document.documentElement.scrollWidth") <= 390
