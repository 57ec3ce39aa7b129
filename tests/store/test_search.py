"""Search is bounded in time, ends with whoever asked, and holds up nobody else."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from llmproxy.store import Store, messages, threads
from llmproxy.store import search as searching
from llmproxy.store.messages import Ask, Ended
from llmproxy.store.search import CLOSE, CUT, OPEN, TookTooLong, bounded


async def said(store: Store, owner: str, *texts: str) -> None:
    thread = await store.write(threads.create, owner, 1.0, title="T")
    for text in texts:
        what = Ask("r", messages.new_id(), store.process, "m", text)
        asked = await store.write(messages.ask, owner, thread["id"], what, 1.0)
        await store.write(messages.end, asked.answer_id, Ended("complete", "answer", {}), 1.0)


def plain(snippet: str) -> str:
    return snippet.replace(OPEN, "<").replace(CLOSE, ">")


async def test_the_newest_comes_first_with_its_words_marked(store: Store) -> None:
    await said(store, "me", "the old sky is blue", "the new sky is grey")
    found = [plain(one["snippet"]) for one in await store.search("me", "the sk")]
    assert found == ["<the> new <sky> is grey", "<the> old <sky> is blue"]


async def test_longer_words_count_where_few_messages_have_the_word_itself(store: Store) -> None:
    await said(store, "me", "a sky", "many skyscrapers")
    found = await store.search("me", "sky")
    assert [plain(one["snippet"]) for one in found] == ["many <skyscrapers>", "a <sky>"]


async def test_where_many_messages_have_the_word_itself_longer_ones_are_left_out(store: Store) -> None:
    await said(store, "me", "a sky", "another sky", "many skyscrapers")
    found = await store.read(searching.search, "me", "sky", 2)
    assert [plain(one["snippet"]) for one in found] == ["another <sky>", "a <sky>"]


async def test_a_single_letter_is_a_word(store: Store) -> None:
    await said(store, "me", "an apple", "plan a")
    assert [plain(one["snippet"]) for one in await store.search("me", "a")] == ["plan <a>"]


async def test_titles_are_found_by_the_beginnings_of_their_words(store: Store) -> None:
    id = (await store.write(threads.create, "me", 1.0, title="Plans for Café"))["id"]
    assert [one["title"] for one in await store.search("me", "plans fo")] == ["Plans for Café"]
    await store.write(threads.change, "me", id, {"title": "Another"}, 1.0)
    assert await store.search("me", "plans") == []
    assert [plain(one["snippet"]) for one in await store.search("me", "anot")] == ["<Another>"]
    await store.write(threads.delete, "me", id, 1.0, True)
    assert await store.search("me", "another") == []


async def test_a_long_message_is_shown_around_the_word(store: Store) -> None:
    await said(store, "me", "before " * 100 + "needle " + "after " * 100)
    [found] = await store.search("me", "needle")
    assert found["snippet"].startswith(CUT)
    assert "<needle>" in plain(found["snippet"])
    assert len(found["snippet"]) < 300


async def test_one_message_of_one_repeated_word_costs_what_another_of_its_length_does(store: Store) -> None:
    await said(store, "me", "word " * 400_000)
    began = time.process_time()
    [found] = await store.search("me", "word")
    assert time.process_time() - began < 5  # it took 31.9 s
    assert len(found["snippet"]) < 500


def endless(db: Any) -> None:
    db.execute("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n").fetchone()


async def test_a_search_that_takes_too_long_is_ended(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "SECONDS", 0.05)
    with pytest.raises(TookTooLong) as error:
        await store.read(bounded, threading.Event(), endless)
    assert (error.value.status, error.value.code) == (503, "search_timeout")
    assert await store.search("me", "anything") == []


async def test_a_search_ends_when_its_asker_leaves(where: Path | str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "SECONDS", 60.0)
    began = threading.Event()

    def asked(db: Any, owner: str, words: str) -> Any:
        began.set()
        return endless(db)

    monkeypatch.setattr("llmproxy.store.search.search", asked)
    async with Store(where) as store:
        asking = asyncio.ensure_future(store.search("me", "word"))
        assert await asyncio.to_thread(began.wait, 5)
        await said(store, "other", "nobody waits for the search of another")
        assert (await store.read(threads.listed, "other", 5, None))["threads"]
        asking.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait({asking})


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("今天天气很好我们去公园散步。", "天气"),
        ("東京の天気は晴れです。", "天気"),
        ("カタカナのテストです", "テスト"),
        ("วันนี้อากาศดีมาก", "อากาศ"),
    ],
)
async def test_a_word_is_found_inside_a_sentence_without_spaces(store: Store, text: str, word: str) -> None:
    await said(store, "me", "before it", text, "after it")
    [found] = await store.search("me", word)
    assert f"<{word}>" in plain(found["snippet"])
    assert await store.search("another", word) == []


async def test_words_with_and_without_spaces_are_looked_for_together(store: Store) -> None:
    await said(store, "me", "Docker 部署指南", "Docker guide", "部署")
    [found] = await store.search("me", "dock 部署")
    assert plain(found["snippet"]) == "<Docker> <部署>指南"
