"""Threads are trees of messages that belong to one owner."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from llmproxy.core.errors import BadRequest
from llmproxy.store import NotFound, Store, export, messages, restore, search, threads
from llmproxy.store.messages import Ask, Asked, Content, Ended

ME = "me"
NOW = 1_000.0


async def thread(store: Store, now: float = NOW, **members: Any) -> dict[str, Any]:
    return await store.write(threads.create, ME, now, **members)


async def ask(store: Store, id: str, content: Content | None = "Why is the sky blue?", **how: Any) -> Asked:
    what = replace(Ask("r1", messages.new_id(), store.process, "m1", content), **how)
    return await store.write(messages.ask, ME, id, what, NOW)


async def answered(store: Store, asked: Asked, text: str, state: Any = "complete") -> None:
    await store.write(messages.end, asked.answer_id, Ended(state, text, {"model": "m1", "usage": {"a": 1}}), NOW + 1)


async def said(store: Store, id: str) -> list[tuple[str, str, str]]:
    found = await store.read(messages.of_thread, ME, id)
    return [(one["role"], one["content"], one["state"]) for one in found["messages"]]


async def test_a_new_thread_is_empty(store: Store) -> None:
    made = await thread(store, model="m1", settings={"temperature": 0.5})
    assert await store.read(threads.thread, ME, made["id"]) == {
        "id": made["id"],
        "title": "",
        "created_at": NOW,
        "updated_at": NOW,
        "pinned": False,
        "deleted": False,
        "model": "m1",
        "settings": {"temperature": 0.5},
        "head": None,
        "messages": 0,
        "running": [],
    }


async def test_a_question_has_an_answer_that_grows_and_ends(store: Store) -> None:
    id = (await thread(store))["id"]
    asked = await ask(store, id)
    assert asked.thread["running"] == ["r1"]
    assert asked.thread["head"] == asked.answer_id
    await store.write(messages.checkpoint, asked.answer_id, "Beca", "hm")
    assert (await said(store, id))[1] == ("assistant", "Beca", "streaming")
    await answered(store, asked, "Because.")
    assert await said(store, id) == [
        ("user", "Why is the sky blue?", "complete"),
        ("assistant", "Because.", "complete"),
    ]
    assert (await store.read(threads.thread, ME, id))["running"] == []


async def test_an_answer_ends_once(store: Store) -> None:
    id = (await thread(store))["id"]
    asked = await ask(store, id)
    await answered(store, asked, "half", "stopped")
    await answered(store, asked, "other")
    await store.write(messages.checkpoint, asked.answer_id, "late", "")
    assert (await said(store, id))[1] == ("assistant", "half", "stopped")


async def test_facts_of_an_answer_are_kept(store: Store) -> None:
    id = (await thread(store))["id"]
    await answered(store, await ask(store, id), "x")
    [_, answer] = (await store.read(messages.of_thread, ME, id))["messages"]
    assert answer["usage"] == {"a": 1}
    assert answer["citations"] == []
    assert answer["cost"] is None


async def test_the_next_question_follows_the_head(store: Store) -> None:
    id = (await thread(store))["id"]
    first = await ask(store, id, "one")
    await answered(store, first, "first")
    second = await ask(store, id, "two")
    assert [one["content"] for one in second.conversation] == ["one", "first", "two"]


async def test_an_edited_question_is_a_branch(store: Store) -> None:
    id = (await thread(store))["id"]
    await answered(store, await ask(store, id, "one"), "first")
    edited = await ask(store, id, "one, edited", follows_head=False, parent_id=None)
    assert [one["content"] for one in edited.conversation] == ["one, edited"]
    assert len(await said(store, id)) == 4
    assert edited.thread["head"] == edited.answer_id


async def test_regenerating_is_another_answer_to_the_same_question(store: Store) -> None:
    id = (await thread(store))["id"]
    first = await ask(store, id, "one")
    await answered(store, first, "first")
    again = await ask(store, id, None, answer_to=first.question_id)
    assert again.question_id == first.question_id
    assert [one["content"] for one in again.conversation] == ["one"]


async def test_going_on_begins_with_what_was_there(store: Store) -> None:
    id = (await thread(store))["id"]
    first = await ask(store, id, "one")
    await answered(store, first, "Once upon", "stopped")
    more = await ask(store, id, None, going_on=first.answer_id)
    assert (more.before, more.question_id) == ("Once upon", first.question_id)
    assert (await said(store, id))[-1] == ("assistant", "Once upon", "streaming")


@pytest.mark.parametrize("how", [{"parent_id": "x", "follows_head": False}, {"answer_to": "x"}, {"going_on": "x"}])
async def test_a_message_of_another_thread_is_no_place_to_go_on(store: Store, how: dict[str, Any]) -> None:
    id = (await thread(store))["id"]
    with pytest.raises(BadRequest):
        await ask(store, id, **how)
    assert await said(store, id) == []


async def test_the_first_words_are_the_title_until_there_is_a_better_one(store: Store) -> None:
    id = (await thread(store))["id"]
    asked = await ask(store, id, "Tell me\n  everything about the history of the Roman Empire, please, at length.")
    assert asked.thread["title"] == "Tell me everything about the history of the Roman Empire…"
    assert await store.write(threads.entitle, id, "Rome")
    assert not await store.write(threads.entitle, id, "Later")


async def test_a_title_the_user_gave_stays(store: Store) -> None:
    id = (await thread(store))["id"]
    await store.write(threads.change, ME, id, {"title": "Mine"}, NOW)
    assert not await store.write(threads.entitle, id, "Model's")
    assert (await ask(store, id)).thread["title"] == "Mine"


async def test_lists_are_pages_pinned_first_then_the_latest(store: Store) -> None:
    ids = [(await thread(store, NOW + at))["id"] for at in range(5)]
    await store.write(threads.change, ME, ids[0], {"pinned": True}, NOW)
    listed, cursor = [], None
    for _ in range(3):
        page = await store.read(threads.listed, ME, 2, cursor)
        listed += [one["id"] for one in page["threads"]]
        cursor = page["next"]
    assert listed == [ids[0], ids[4], ids[3], ids[2], ids[1]]
    assert cursor is None


async def test_a_cursor_of_somewhere_else_is_refused(store: Store) -> None:
    with pytest.raises(BadRequest):
        await store.read(threads.listed, ME, 2, "nonsense")


async def test_deleting_hides_and_can_be_undone(store: Store) -> None:
    id = (await thread(store, title="sky"))["id"]
    await store.write(threads.delete, ME, id, NOW, False)
    assert (await store.read(threads.listed, ME, 9, None))["threads"] == []
    assert await store.read(search.search, ME, "sky") == []
    with pytest.raises(NotFound):
        await ask(store, id)
    await store.write(threads.change, ME, id, {"deleted": False}, NOW)
    assert len((await store.read(threads.listed, ME, 9, None))["threads"]) == 1


async def test_what_was_deleted_30_days_ago_is_removed(store: Store) -> None:
    id = (await thread(store))["id"]
    await store.write(threads.delete, ME, id, NOW, False)
    await store.write(threads.remove, NOW + threads.UNDO_SECONDS - 1)
    assert (await store.read(threads.thread, ME, id))["deleted"]
    await store.write(threads.remove, NOW + threads.UNDO_SECONDS + 1)
    with pytest.raises(NotFound):
        await store.read(threads.thread, ME, id)


async def test_purging_removes_messages_and_words(store: Store) -> None:
    id = (await thread(store))["id"]
    await answered(store, await ask(store, id, "zebra"), "stripes")
    await store.write(threads.delete, ME, id, NOW, True)
    assert await store.read(lambda db: db.execute("SELECT count(*) FROM messages").fetchone()[0]) == 0
    assert await store.read(search.search, ME, "zebra") == []


async def test_a_head_must_be_of_the_thread(store: Store) -> None:
    id = (await thread(store))["id"]
    first = await ask(store, id)
    assert (await store.write(threads.change, ME, id, {"head": first.question_id}, NOW))["head"] == first.question_id
    with pytest.raises(BadRequest):
        await store.write(threads.change, ME, id, {"head": "foreign"}, NOW)


async def test_another_owner_sees_and_changes_nothing(store: Store) -> None:
    id = (await thread(store, title="secret plan"))["id"]
    await answered(store, await ask(store, id), "hidden")
    for job, *arguments in (
        (threads.thread, id),
        (threads.change, id, {"title": "x"}, NOW),
        (threads.delete, id, NOW, True),
        (messages.of_thread, id),
        (messages.ask, id, Ask("r", "a", "p", "m", "?"), NOW),
        (export.as_json, id, NOW),
        (export.as_markdown, id),
    ):
        with pytest.raises(NotFound):
            await store.write(job, "other", *arguments)
    assert await store.read(search.search, "other", "secret") == []
    await store.delete_all("other")
    assert (await store.read(threads.thread, ME, id))["title"] == "secret plan"


async def test_words_are_found_in_questions_answers_and_titles(store: Store) -> None:
    id = (await thread(store, title="Animals"))["id"]
    await thread(store, title="More zebras")
    await answered(store, await ask(store, id, "Do zebras run?"), "Zébras run fast.")
    found = await store.read(search.search, ME, "zebra")
    plain = [one["snippet"].replace("\u2039", "<").replace("\u203a", ">") for one in found]
    assert plain == ["<Zébras> run fast.", "Do <zebras> run?", "More <zebras>"]
    assert [one["title"] for one in found] == ["Animals", "Animals", "More zebras"]


async def test_only_what_has_ended_is_found_and_as_it_is_now(store: Store) -> None:
    id = (await thread(store))["id"]
    asked = await ask(store, id, "?")
    await store.write(messages.checkpoint, asked.answer_id, "early", "")
    assert await store.read(search.search, ME, "early") == []
    await answered(store, asked, "final")
    assert len(await store.read(search.search, ME, "final")) == 1


@pytest.mark.parametrize("words", ['"', "a AND", "NEAR(", "*", "col:x", "", "(", "-x", "a OR b"])
async def test_no_query_is_an_error(store: Store, words: str) -> None:
    assert await store.read(search.search, ME, words) == []


async def test_parts_with_images_are_kept_and_their_words_found(store: Store) -> None:
    id = (await thread(store))["id"]
    parts: Content = [
        {"type": "text", "text": "a giraffe"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
    ]
    asked = await ask(store, id, parts)
    assert asked.conversation[0]["content"] == parts
    assert len(await store.read(search.search, ME, "giraffe")) == 1
    assert await store.read(search.search, ME, "base64") == []


async def test_an_export_taken_in_again_is_the_same_tree(store: Store) -> None:
    id = (await thread(store, title="T", settings={"a": 1}))["id"]
    first = await ask(store, id, "one")
    await answered(store, first, "first")
    await answered(store, await ask(store, id, None, answer_to=first.question_id), "second", "stopped")
    file = await store.read(export.as_json, ME, id, NOW)
    [copy] = await store.import_threads("other", file)
    assert copy != id

    def shape(exported: dict[str, Any]) -> list[Any]:
        [one] = exported["threads"]
        at = {message["id"]: place for place, message in enumerate(one["messages"])}
        kept = [
            {**message, "id": 0, "thread_id": 0, "request_id": 0, "parent_id": at.get(message["parent_id"])}
            for message in one["messages"]
        ]
        return [{**one, "id": 0, "owner": 0, "head": at[one["head"]], "messages": 0}, kept]

    assert shape(await store.read(export.as_json, "other", copy, NOW)) == shape(file)


@pytest.mark.parametrize(
    "file",
    [
        None,
        [],
        {"format": "else"},
        {"format": "llmproxy-threads", "version": 1},
        {"format": "llmproxy-threads", "version": 1, "threads": [3]},
        {"format": "llmproxy-threads", "version": 1, "threads": [{"title": "x"}]},
    ],
)
async def test_what_is_no_export_is_refused_whole(store: Store, file: Any) -> None:
    with pytest.raises(BadRequest):
        await store.import_threads(ME, file)
    assert (await store.read(threads.listed, ME, 9, None))["threads"] == []


def exported(threads: int, messages: int) -> dict[str, Any]:
    given = [
        {
            "id": f"m{at}",
            "parent_id": f"m{at - 1}" if at else None,
            "content": "Hi",
            "role": "user",
            "state": "complete",
        }
        for at in range(messages)
    ]
    one = {
        "title": "T",
        "settings": {},
        "created_at": 1.0,
        "updated_at": 2.0,
        "pinned": True,
        "head": f"m{messages - 1}",
    }
    return {"format": export.FORMAT, "version": export.VERSION, "threads": [{**one, "messages": given}] * threads}


async def test_an_import_is_shown_when_it_is_complete(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "SLICE_SECONDS", 0)
    given, progress, slices = restore.checked(exported(2, 3)), restore.Progress(), 0
    while not progress.shown:
        assert (await store.read(threads.listed, ME, 9, None))["threads"] == []
        progress = await store.write(restore.some, ME, given, progress, NOW)
        slices += 1
    assert slices == 2 * 3 + 1
    shown = (await store.read(threads.listed, ME, 9, None))["threads"]
    assert [(one["messages"], one["pinned"], one["updated_at"], one["deleted"]) for one in shown] == [
        (3, True, 2.0, False)
    ] * 2
    assert [len(await store.read(messages.path, one["id"], one["head"])) for one in shown] == [3, 3]


async def test_while_one_owner_imports_others_write(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "SLICE_SECONDS", 0)
    importing = asyncio.create_task(store.import_threads(ME, exported(1, 50)))
    while not (await store.read(threads.trash, ME, 9))["threads"]:
        await store.write_for("other", threads.create, "other", NOW)
    await store.write_for("other", threads.create, "other", NOW)
    assert not importing.done()
    assert len(await importing) == 1


@pytest.mark.parametrize("over", [0, 1])
async def test_settings_have_a_limit(over: int) -> None:
    settings = {"system": "x" * (threads.MAX_SETTINGS - len('{"system": ""}') + over)}
    if not over:
        threads.check_settings(settings, "settings")
        return
    with pytest.raises(BadRequest):
        threads.check_settings(settings, "settings")


async def test_markdown_shows_the_branch_at_the_head(store: Store) -> None:
    id = (await thread(store, title="T"))["id"]
    await answered(store, await ask(store, id, "old"), "gone")
    await answered(store, await ask(store, id, "new", follows_head=False), "shown", "stopped")
    assert await store.read(export.as_markdown, ME, id) == "# T\n\n## You\n\nnew\n\n## m1\n\nshown\n\n*(stopped)*\n"


async def test_markdown_has_what_is_attached(store: Store) -> None:
    id = (await thread(store, title="T"))["id"]
    parts: list[dict[str, Any]] = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
        {"type": "input_audio", "input_audio": {"data": "BB", "format": "mp3"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,CC"}},
    ]
    await answered(store, await ask(store, id, parts), "seen")
    shown = "Look\n\n![image](data:image/png;base64,AA)\n\n[audio](data:audio/mp3;base64,BB)"
    shown += "\n\n[a.pdf](data:application/pdf;base64,CC)\n\n## m1"
    assert shown in await store.read(export.as_markdown, ME, id)


@pytest.mark.parametrize(("title", "name"), [("A b/c", "a-b-c.md"), ("../..", "thread.md"), ("", "thread.md")])
def test_file_names_are_harmless(title: str, name: str) -> None:
    assert export.file_name(title, "md") == name


ODD_IMPORTS = {
    "a date beyond all": (("created_at",), 2**70),
    "a date that is none": (("updated_at",), float("nan")),
    "a message's date beyond all": (("messages", 0, "created_at"), 2**64),
    "a parent that is a list": (("messages", 0, "parent_id"), ["x"]),
    "an id that is an object": (("messages", 0, "id"), {"a": 1}),
    "a head that is a list": (("head",), [1]),
}


@pytest.mark.parametrize("odd", ODD_IMPORTS)
async def test_an_odd_import_is_refused_with_the_place_and_nothing_is_kept(store: Store, odd: str) -> None:
    path, value = ODD_IMPORTS[odd]
    message = {"id": "m", "parent_id": None, "content": "Hi", "role": "user", "state": "complete", "created_at": 1.0}
    thread: Any = {
        "title": "T", "settings": {}, "created_at": 1.0, "updated_at": 1.0, "pinned": False, "head": "m", "messages": [message],
    }  # fmt: skip
    inner: Any = thread
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    file = {"format": export.FORMAT, "version": export.VERSION, "threads": [thread]}
    with pytest.raises(BadRequest) as error:
        await store.import_threads(ME, file)
    assert (error.value.param or "").startswith("threads[0]")
    assert (await store.read(threads.listed, ME, 5, None))["threads"] == []
