"""Chats in the list and their branches: nothing that one did to them is lost, and most of it can be undone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.gateway import Gateway
from tests.ui.site import Site


@pytest.fixture(autouse=True)
def _alone(page: Page, gateway: Gateway) -> None:
    """No chats but one's own."""
    page.request.delete(f"{gateway.url}/threads")


def act(site: Site, chat: str, action: str) -> None:
    row = site.page.locator("nav li").filter(has_text=chat)
    row.hover()
    row.get_by_role("button", name="Actions for this chat").click()
    site.page.get_by_role("menuitem", name=action).click()


def new_chat(site: Site, question: str) -> None:
    site.page.keyboard.press("Alt+n")
    expect(site.questions).to_have_count(0)
    site.answered(question)


def test_a_chat_is_renamed(site: Site) -> None:
    site.answered("About apples")
    act(site, "About apples", "Rename")
    site.page.get_by_label("Name of the chat").fill("Pears")
    site.page.keyboard.press("Enter")
    expect(site.chats).to_have_text(["Pears"])
    site.page.reload()
    expect(site.chats).to_have_text(["Pears"])


def test_a_pinned_chat_stays_on_top(site: Site) -> None:
    site.answered("Older")
    act(site, "Older", "Pin")
    new_chat(site, "Newer")
    expect(site.page.locator("nav h2").first).to_have_text("Pinned")
    expect(site.chats.first).to_contain_text("Older")


def test_a_deleted_chat_can_be_brought_back(site: Site) -> None:
    site.answered("Precious")
    act(site, "Precious", "Delete")
    expect(site.chats).to_have_count(0)
    site.button("Undo").click()
    expect(site.chats).to_have_count(1)
    expect(site.questions).to_contain_text("Precious")


def test_search_finds_words_in_answers_and_leads_to_them(site: Site) -> None:
    site.answered("The word is heliotrope")
    new_chat(site, "Something else")
    site.page.keyboard.press("Control+k")
    site.page.get_by_role("searchbox", name="Search chats").fill("heliotrope")
    hits = site.page.locator("nav mark")
    expect(hits.first).to_have_text("heliotrope")
    hits.first.click()
    expect(site.questions).to_contain_text("heliotrope")


def test_an_edited_question_is_a_branch_beside_the_first(site: Site) -> None:
    site.answered("One")
    site.questions.first.hover()
    site.questions.first.get_by_role("button", name="Edit").click()
    site.page.get_by_role("textbox", name="Edit").fill("Two")
    site.page.keyboard.press("Enter")
    expect(site.answers.last).to_contain_text("You said: “Two”.")
    expect(site.questions).to_have_count(1)
    site.button("Previous version").click()
    expect(site.answers.last).to_contain_text("You said: “One”.")
    site.page.reload()
    expect(site.answers.last).to_contain_text("You said: “One”.")


def test_an_edit_that_is_being_typed_is_kept_while_another_chat_is_shown(site: Site) -> None:
    site.answered("One")
    new_chat(site, "Elsewhere")
    site.chats.last.click()
    expect(site.questions).to_have_text("One")
    site.questions.first.hover()
    site.questions.first.get_by_role("button", name="Edit").click()
    edit = site.page.get_by_role("textbox", name="Edit")
    edit.fill("One and a half")
    site.chats.first.click()
    expect(site.questions).to_have_text("Elsewhere")
    site.chats.last.click()
    expect(edit).to_have_value("One and a half")
    site.page.reload()
    expect(edit).to_have_value("One and a half")
    site.button("Cancel").click()
    expect(site.questions).to_have_text("One")
    site.page.reload()
    expect(site.questions).to_have_text("One")


@pytest.mark.thorough
def test_a_question_after_a_switch_continues_the_branch_that_is_shown(site: Site) -> None:
    site.answered("Root")
    first = site.stored()[-1]["id"]
    site.answers.last.hover()
    site.button("Answer again").click()
    expect(site.page.locator("[data-versions]")).to_contain_text("2/2")
    site.complete(site.answers.last)
    site.button("Previous version").click()
    expect(site.page.locator("[data-versions]")).to_contain_text("1/2")
    site.answered("Next")
    assert next(one for one in site.stored() if one["content"] == "Next")["parent_id"] == first


def test_two_models_answer_side_by_side_and_one_is_kept(site: Site) -> None:
    site.button("Ask a second model too").click()
    site.page.locator(".composer .model-button").click()
    site.page.get_by_role("combobox", name="Search models").fill("quick/markdown")
    site.page.keyboard.press("Enter")
    site.ask("Compare")
    sides = site.page.get_by_role("group", name="Answers to one question").get_by_role("article")
    expect(sides).to_have_count(2)
    for index in range(2):
        site.complete(sides.nth(index))
    expect(sides.nth(0)).to_contain_text("You said: “Compare”.")
    expect(sides.nth(1)).to_contain_text("What an answer may contain")
    site.button("Keep this one").last.click()
    expect(site.answers).to_have_count(1)
    expect(site.answers.last).to_contain_text("What an answer may contain")
    site.page.reload()
    expect(site.answers).to_have_count(1)
    expect(site.answers.last).to_contain_text("What an answer may contain")


@pytest.mark.thorough
def test_the_model_can_be_changed_in_mid_thread(site: Site) -> None:
    site.answered("One")
    site.choose("quick/markdown")
    expect(site.answered("Two").get_by_label("Facts about this answer")).to_contain_text("quick/markdown")


def test_a_mode_of_the_config_can_be_chosen_as_a_model(site: Site) -> None:
    site.choose("sketch")
    expect(site.answered("Draw").get_by_label("Facts about this answer")).to_contain_text("quick/markdown")


@pytest.mark.thorough
def test_an_alias_stands_on_top_and_says_what_it_stands_for(site: Site) -> None:
    site.page.keyboard.press("Alt+m")
    expect(site.page.get_by_role("option").filter(has_text="fast")).to_contain_text("stands for quick/hello")


def test_an_exported_chat_can_be_imported(site: Site, tmp_path: Path) -> None:
    site.answered("Travelling words")
    with site.page.expect_download() as download:
        act(site, "Travelling words", "Export as JSON")
    file = tmp_path / "chat.json"
    download.value.save_as(file)
    assert json.loads(file.read_text())
    site.page.request.delete(f"{site.url}/threads")
    site.open()
    site.page.keyboard.press("Control+,")
    site.page.locator("input[type=file][accept*=json]").set_input_files(file)
    site.page.keyboard.press("Escape")
    site.chats.filter(has_text="Travelling words").click()
    expect(site.answers).to_contain_text("You said: “Travelling words”.")


def test_a_chat_is_exported_as_markdown(site: Site, page: Page) -> None:
    site.answered("Words on paper")
    with page.expect_download() as download:
        act(site, "Words on paper", "Export as Markdown")
    assert download.value.suggested_filename == "Words-on-paper.md"
    assert "Words on paper" in download.value.path().read_text()


def test_all_chats_are_deleted_only_when_asked_twice(site: Site) -> None:
    site.answered("Gone soon")
    site.page.keyboard.press("Control+,")
    site.button("Delete all chats").click()
    expect(site.chats).to_have_count(1)
    site.button("Delete all, for good").click()
    expect(site.chats).to_have_count(0)


def test_an_unknown_chat_is_said_to_be_unknown(site: Site) -> None:
    site.page.goto(f"{site.url}/#/t/nowhere")
    expect(site.page.get_by_role("alert")).to_be_visible()
