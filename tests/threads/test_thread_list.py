"""Threads over HTTP: lists, changes, search, files."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.testing import FakeProvider
from tests.threads.house import House, said


async def test_a_list_comes_in_pages(house: House) -> None:
    made = [await house.thread(title=str(number)) for number in range(5)]
    await house.call("PATCH", f"/threads/{made[0]}", {"pinned": True})
    first = (await house.call("GET", "/threads?limit=3"))[1]
    rest = (await house.call("GET", f"/threads?limit=3&before={first['next']}"))[1]
    assert [one["title"] for one in first["threads"] + rest["threads"]] == ["0", "4", "3", "2", "1"]
    assert rest["next"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=1000", "before=x"])
async def test_a_wrong_page_is_refused(house: House, query: str) -> None:
    assert (await house.call("GET", f"/threads?{query}"))[0] == 400


async def test_a_thread_is_renamed_and_set(house: House) -> None:
    thread = await house.thread()
    changes = {"title": "New", "model": "m", "settings": {"system": "x"}, "pinned": True}
    status, changed = await house.call("PATCH", f"/threads/{thread}", changes)
    assert status == 200
    assert {name: changed[name] for name in changes} == changes
    assert (await house.call("GET", f"/threads/{thread}"))[1] == changed


@pytest.mark.parametrize(
    ("changes", "param"),
    [({"title": 3}, "title"), ({"owner": "x"}, "owner"), ({"head": "x"}, "head"), ({"title": "x" * 501}, "title")],
)
async def test_a_wrong_change_is_refused(house: House, changes: Any, param: str) -> None:
    thread = await house.thread(title="same")
    status, answer = await house.call("PATCH", f"/threads/{thread}", changes)
    assert (status, answer["error"]["param"]) == (400, param)
    assert (await house.call("GET", f"/threads/{thread}"))[1]["title"] == "same"


async def test_deleting_can_be_undone_and_purging_not(house: House) -> None:
    thread = await house.thread()
    assert (await house.call("DELETE", f"/threads/{thread}"))[0] == 204
    assert (await house.call("GET", "/threads"))[1]["threads"] == []
    assert (await house.call("PATCH", f"/threads/{thread}", {"deleted": False}))[1]["deleted"] is False
    assert len((await house.call("GET", "/threads"))[1]["threads"]) == 1
    assert (await house.call("DELETE", f"/threads/{thread}?purge=1"))[0] == 204
    assert (await house.call("PATCH", f"/threads/{thread}", {"deleted": False}))[0] == 404


async def test_everything_can_be_removed(house: House) -> None:
    for _ in range(3):
        await house.thread()
    assert (await house.call("DELETE", "/threads"))[0] == 204
    assert (await house.call("GET", "/threads"))[1] == {"threads": [], "next": None}


async def test_search_marks_what_it_found(house: House, provider: FakeProvider) -> None:
    thread = await house.thread(title="Animals")
    provider.streams(*said("Zebras have stripes."))
    events = await house.ask(thread, "What do they have?")
    [found] = (await house.call("GET", "/threads/search?q=stri"))[1]["results"]
    assert found == {
        "thread_id": thread,
        "title": "Animals",
        "message_id": events[0][2]["message_id"],
        "snippet": "Zebras have \u2039stripes\u203a.",
    }


async def test_an_export_can_be_taken_in_again(house: House, provider: FakeProvider) -> None:
    thread = await house.thread(title="Trip to Rome")
    provider.streams(*said("Go in May."))
    await house.ask(thread, "When?")
    async with house.open("GET", f"/threads/{thread}/export") as response:
        assert response.headers["Content-Disposition"] == 'attachment; filename="trip-to-rome.json"'
        file = await response.json()
    status, answer = await house.call("POST", "/threads/import", file)
    assert status == 200
    [copy] = answer["threads"]
    again = (await house.call("GET", f"/threads/{copy}/export"))[1]
    assert [one["content"] for one in again["threads"][0]["messages"]] == ["When?", "Go in May."]
    assert len((await house.call("GET", "/threads/export"))[1]["threads"]) == 2


async def test_markdown_is_for_reading(house: House, provider: FakeProvider) -> None:
    thread = await house.thread(title="Rome")
    provider.streams(*said("In May."))
    await house.ask(thread, "When?")
    _, text = await house.call("GET", f"/threads/{thread}/export?format=markdown")
    assert text.decode() == "# Rome\n\n## You\n\nWhen?\n\n## m\n\nIn May.\n"


@pytest.mark.parametrize("path", ["/threads/none", "/threads/none/messages", "/threads/none/export"])
async def test_what_is_not_there_is_said(house: House, path: str) -> None:
    assert (await house.call("GET", path))[0] == 404


async def test_an_unknown_format_is_refused(house: House) -> None:
    assert (await house.call("GET", "/threads/export?format=pdf"))[0] == 400
