"""Prompts, models and tags at hand; code, tables and answers to take along; exports, imports and the trash."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.gateway import Gateway, running_gateway
from tests.ui.site import DONE, Site

pytestmark = pytest.mark.thorough

TABLE = "| a | b |\n|---|---|\n| 1 | =1+1 |\n| x,y | z |\n"


def told(site: Site, text: str) -> None:
    site.choose("parrot")
    site.answered(f"say:{text}")


def with_prompts(site: Site, *prompts: dict[str, str]) -> None:
    site.page.evaluate("all => localStorage.setItem('llmproxy.prompts', all)", json.dumps(prompts))
    site.page.reload()
    expect(site.composer).to_be_visible()


# Prompts


def test_a_slash_writes_a_prompt_and_asks_for_its_blanks_by_keys_only(site: Site) -> None:
    with_prompts(
        site, {"name": "letter", "text": "A letter to {{who}} about {{what}}"}, {"name": "sum", "text": "Sum it up"}
    )
    site.composer.press_sequentially("/l")
    expect(site.page.get_by_role("option")).to_have_count(1)
    site.page.keyboard.press("Enter")
    expect(site.page.get_by_role("dialog")).to_be_visible()
    site.page.keyboard.type("Ann")
    site.page.keyboard.press("Tab")
    site.page.keyboard.type("tea")
    site.page.keyboard.press("Tab")
    site.page.keyboard.press("Enter")
    expect(site.composer).to_have_value("A letter to Ann about tea")
    expect(site.composer).to_be_focused()


@pytest.mark.thorough
def test_the_arrows_choose_among_prompts_and_escape_leaves_the_slash_a_slash(site: Site) -> None:
    with_prompts(site, {"name": "one", "text": "First"}, {"name": "two", "text": "Second"})
    site.composer.press_sequentially("/")
    expect(site.page.get_by_role("option")).to_have_count(2)
    site.page.keyboard.press("ArrowDown")
    site.page.keyboard.press("Enter")
    expect(site.composer).to_have_value("Second")
    site.composer.fill("/o")
    site.page.keyboard.press("Escape")
    expect(site.page.get_by_role("option")).to_have_count(0)
    expect(site.composer).to_have_value("/o")


def test_prompts_are_made_in_the_settings(site: Site) -> None:
    site.page.keyboard.press("Control+,")
    site.page.get_by_label("Name of the prompt").fill("my prompt")
    site.page.get_by_label("Text of the prompt").fill("Do it")
    site.button("Save prompt").click()
    site.page.keyboard.press("Escape")
    expect(site.page.get_by_role("dialog")).to_have_count(0)
    site.composer.press_sequentially("/my")
    expect(site.page.get_by_role("option")).to_contain_text("/my-prompt")


# Models


def test_favourites_and_the_models_chosen_last_come_first(site: Site) -> None:
    site.choose("quick/markdown")
    site.page.locator(".model-button").first.click()
    expect(site.page.get_by_role("group", name="Chosen last").get_by_role("option")).to_have_count(1)
    site.page.get_by_role("combobox").fill("quick/reasoning")
    site.page.get_by_role("button", name="Add quick/reasoning to the favourites").click()
    site.page.get_by_role("combobox").fill("")
    expect(site.page.get_by_role("group", name="Favourites").get_by_role("option")).to_contain_text("quick/reasoning")
    site.page.keyboard.press("Escape")
    site.page.reload()
    site.page.locator(".model-button").first.click()
    expect(site.page.get_by_role("group", name="Favourites")).to_be_visible()


@pytest.mark.thorough
def test_a_thousand_models_are_a_list_of_which_only_some_is_built(page: Page) -> None:
    names = ", ".join(f'"model-{number:04d}"' for number in range(1000))
    config = '[providers.many]\nadapter = "compatible"\nbase_url = "http://127.0.0.1:9/v1"\nlist_models = false\n'
    config += f"models = [{names}]\n"
    with running_gateway(config) as gateway:
        site = Site(page, gateway.url)
        site.open()
        page.locator(".model-button").first.click()
        expect(page.get_by_role("option").first).to_be_visible()
        assert page.get_by_role("option").count() < 150
        page.keyboard.press("ArrowUp")  # to the last, round the edge
        expect(page.locator(".row.active")).to_contain_text("slow-start")  # the demo's, after the thousand
        expect(page.locator(".row.active")).to_be_in_viewport()
        page.get_by_role("combobox").fill("0777")
        expect(page.get_by_role("option")).to_have_count(1)


def test_the_chosen_model_is_in_sight_when_the_list_is_opened(site: Site) -> None:
    site.page.evaluate("localStorage.setItem('llmproxy.model', JSON.stringify('demo/slow-start'))")
    site.page.reload()
    expect(site.page.locator(".model-button").first).to_contain_text("slow-start")
    site.page.locator(".model-button").first.click()
    expect(site.page.locator(".row.active")).to_contain_text("slow-start")
    expect(site.page.locator(".row.active")).to_be_in_viewport()


def test_three_further_models_take_two_rows_on_a_phone(site: Site) -> None:
    site.page.set_viewport_size({"width": 390, "height": 800})
    site.button("Ask a second model too").click()
    for _ in range(2):
        site.button("One more model").click()
    for at, model in enumerate(("sonar-reasoning-pro", "sonar-deep-research", "quick/slow-start")):
        site.page.locator(".others .model-button").nth(at).click()
        site.page.get_by_role("combobox", name="Search models").fill(model)
        site.page.keyboard.press("Enter")
        expect(site.page.locator(".others .model-button").nth(at)).to_contain_text(model)
    tops = site.page.locator(".other").evaluate_all("all => all.map(one => one.getBoundingClientRect().top)")
    assert len(set(tops)) == 2
    assert site.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# Tags


def test_chats_are_tagged_and_listed_by_a_tag(site: Site) -> None:
    site.answered("About work")
    site.page.get_by_role("link", name="New chat").click()
    site.answered("About home")
    item = site.page.locator("nav li").filter(has_text="About work").first
    item.hover()
    item.get_by_role("button", name="Actions for this chat").click()
    site.page.get_by_role("menuitem", name="Tags").click()
    site.page.get_by_label("Tags, with commas between").fill("#office, urgent")
    with site.page.expect_response(lambda one: one.request.method == "PATCH"):
        site.page.keyboard.press("Enter")
    expect(site.page.locator("nav li").filter(has_text="About work").first).to_contain_text("office urgent")
    site.page.reload()
    filter = site.page.get_by_role("group", name="Show chats with a tag")
    filter.get_by_role("button", name="office").click()
    expect(site.page.locator("nav li")).to_have_count(1)
    filter.get_by_role("button", name="office").click()
    expect(site.page.locator("nav li").filter(has_text="About home").first).to_be_visible()


# What is taken along


def test_code_wraps_folds_and_is_a_file(site: Site) -> None:
    told(site, "```python\n" + "x = 1  # " + "long " * 80 + "\n" + "y = 2\n" * 30 + "```")
    block = site.page.locator("figure.code").last
    wide = block.evaluate("one => one.querySelector('code').offsetWidth > one.offsetWidth")
    block.get_by_role("button", name="Wrap").click()
    assert wide
    assert block.evaluate("one => one.querySelector('code').offsetWidth <= one.offsetWidth")
    tall = block.evaluate("one => one.offsetHeight")
    block.get_by_role("button", name="Fold").click()
    assert block.evaluate("one => one.offsetHeight") < tall / 2
    with site.page.expect_download() as saved:
        block.get_by_role("button", name="Download").click()
    assert saved.value.suggested_filename == "code.py"
    assert Path(saved.value.path()).read_text().startswith("x = 1")


def test_a_table_is_a_file_without_formulas(site: Site) -> None:
    told(site, TABLE)
    with site.page.expect_download() as saved:
        site.button("Download as CSV").last.click()
    assert Path(saved.value.path()).read_bytes() == b'a,b\r\n1,\'=1+1\r\n"x,y",z\r\n'


def test_an_answer_is_copied_as_markdown_and_with_its_form(site: Site) -> None:
    told(site, "Some **bold** words\n\n" + TABLE)
    tools = site.answers.last.locator(".tools")
    tools.get_by_role("button", name="Copy", exact=True).click()
    assert "**bold**" in site.page.evaluate("navigator.clipboard.readText()")
    tools.get_by_role("button", name="Copy with its form").click()
    expect(site.page.get_by_text("Copied with its form").first).to_be_attached()
    html = site.page.evaluate(
        "navigator.clipboard.read().then(([one]) => one.getType('text/html')).then(blob => blob.text())"
    )
    assert "<strong>bold</strong>" in html
    assert "<td>1</td>" in html
    assert "button" not in html


def menu(site: Site, item: str) -> Path:
    with site.page.expect_download() as saved:
        site.chat_menu(item)
    return Path(saved.value.path())


def test_a_chat_is_exported_as_a_page_that_needs_nothing_and_runs_nothing(site: Site, page: Page) -> None:
    told(site, "Some **bold** words <script>alert(1)</script>\n\n![x](https://evil.example/a.png)")
    text = menu(site, "Export as a web page").read_text()
    assert "<strong>bold</strong>" in text
    assert "<script" not in text
    assert "<img" not in text
    asked: list[str] = []
    bare = page.context.new_page()
    bare.on("request", lambda one: asked.append(one.url) if one.url.startswith("http") else None)
    bare.set_content(text)
    expect(bare.get_by_text("bold", exact=True)).to_be_visible()
    assert asked == []


# Imports


CLAUDE: list[dict[str, Any]] = [
    {
        "uuid": "1",
        "name": "From elsewhere",
        "created_at": "2025-01-02T03:04:05Z",
        "updated_at": "2025-01-02T03:05:00Z",
        "chat_messages": [
            {"uuid": "a", "sender": "human", "text": "A question", "files": [{"file_name": "a.pdf"}]},
            {"uuid": "b", "sender": "assistant", "text": "An **answer**", "created_at": "2025-01-02T03:04:06Z"},
        ],
    }
]


def zipped(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("users.json", b"[]")
        for name, body in files.items():
            archive.writestr(name, body)
    return made.getvalue()


def test_chats_of_another_program_come_in_and_what_does_not_is_said(site: Site) -> None:
    body = json.dumps(CLAUDE).encode()
    parts = {"conversations-000.json": body, "conversations-001.json": body.replace(b"elsewhere", b"there")}
    as_json = FilePayload(name="conversations.json", mimeType="application/json", buffer=body)
    as_zip = FilePayload(name="export.zip", mimeType="application/zip", buffer=zipped(parts))
    unknown = FilePayload(name="x.json", mimeType="application/json", buffer=b'{"a": 1}')
    site.page.keyboard.press("Control+,")
    for file, told in (
        (as_json, "1 chat was imported. Not in the export, or without a place here: files (1)."),
        (as_zip, "2 chats were imported. Not in the export, or without a place here: files (2)."),
        (unknown, "This file is not a known export of chats."),
    ):
        site.page.locator("dialog input[type=file]").set_input_files([file])
        expect(site.page.locator(".notices:popover-open")).to_contain_text(told)  # above the open dialog
    site.page.keyboard.press("Escape")
    expect(site.page.locator("nav li a").filter(has_text="From there")).to_have_count(1)
    site.page.locator("nav li a").filter(has_text="From elsewhere").first.click()
    expect(site.answers.last).to_contain_text("An answer", timeout=DONE)


# Trash


def test_a_deleted_chat_comes_back_from_the_trash_or_goes_for_good(page: Page) -> None:
    with running_gateway("[providers.demo]\ntokens_per_second = 3000\n") as gateway:
        site = Site(page, gateway.url)
        site.open()
        site.answered("Keep me")
        site.page.get_by_role("link", name="New chat").click()
        site.answered("Lose me")
        for title in ("Keep me", "Lose me"):
            item = page.locator("nav li").filter(has_text=title)
            item.hover()
            item.get_by_role("button", name="Actions for this chat").click()
            page.get_by_role("menuitem", name="Delete").click()
            expect(item).to_have_count(0)
            expect(page.get_by_text(f"“{title}” was deleted.")).to_be_visible()  # by the gateway too
        page.keyboard.press("Control+,")
        page.get_by_text("Deleted chats (2)").click()
        page.get_by_role("button", name="Bring back: Keep me").click()
        page.get_by_role("button", name="Remove for good: Lose me").click()
        expect(page.get_by_text("Deleted chats")).to_have_count(0)
        expect(page.locator("nav li").filter(has_text="Keep me")).to_have_count(1)
        assert page.request.get(f"{gateway.url}/threads?deleted=1").json()["threads"] == []


@pytest.mark.thorough
def test_on_a_phone_an_answer_with_code_and_a_table_stays_within_the_window(site: Site, gateway: Gateway) -> None:
    site.page.set_viewport_size({"width": 390, "height": 800})
    told(site, "```python\nx = 1\n```\n\n" + TABLE)
    assert site.page.evaluate("document.documentElement.scrollWidth") <= 390
    for button in site.page.locator("figure.code button").all():
        box = button.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 390
