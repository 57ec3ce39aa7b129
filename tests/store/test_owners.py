"""What belongs to a key stays its own, wherever the key stands in the list; what was named by position changes hands once."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llmproxy.config import load
from llmproxy.config.key_names import derived, heirs
from llmproxy.config.values import Key
from llmproxy.store import Store, threads
from llmproxy.store.sqlite.database import FILE

FIXTURES = Path(__file__).with_name("fixtures")
ALICE, BOB = Key(derived("a"), "a", formerly="key-1"), Key(derived("b"), "b", formerly="key-2")
ADMIN = Key("root", "r", admin=True)


async def titles(folder: Path, owner: str, *keys: Key) -> set[str]:
    async with Store(folder, ledger_days=1_000_000, heirs=heirs(keys)) as store:
        listed = await store.read(threads.listed, owner, 10, None)
    return {thread["title"][:5] for thread in listed["threads"]}


@pytest.fixture(params=(1, 2))
def old(request: pytest.FixtureRequest, folder: Path) -> Path:
    """A database of an earlier version: Alice was `key-1`, Bob `key-2`, and the first chats had no owner."""
    folder.mkdir(mode=0o700)
    shutil.copy(FIXTURES / f"schema-{request.param}.db", folder / FILE)
    return folder


def keys_of(tmp_path: Path, text: str, **environ: str) -> tuple[Key, ...]:
    file = tmp_path / "llmproxy.toml"
    file.write_text(f"[server]\nkeys = {text}\n")
    return load(file, environ).server.keys


def test_a_name_does_not_depend_on_the_place_in_the_list(tmp_path: Path) -> None:
    alice, bob = keys_of(tmp_path, '["alice-secret", "bob-secret"]')
    [bob_alone] = keys_of(tmp_path, '["bob-secret"]')
    assert bob.name == bob_alone.name != alice.name
    assert "bob-secret" not in bob.name


def test_keys_of_the_environment_are_called_after_their_secret_too(tmp_path: Path) -> None:
    both = keys_of(tmp_path, "[]", LLMPROXY_KEYS="alice-secret, bob-secret")
    [bob] = keys_of(tmp_path, "[]", LLMPROXY_KEYS="bob-secret")
    assert both[1].name == bob.name


def test_a_name_that_was_given_outlives_a_new_secret(tmp_path: Path) -> None:
    [before] = keys_of(tmp_path, '[{ name = "alice", secret = "old" }]')
    [after] = keys_of(tmp_path, '[{ name = "alice", secret = "new" }]')
    assert before.name == after.name == "alice"


async def test_the_chats_of_a_removed_key_are_nobody_elses(folder: Path) -> None:
    async with Store(folder, heirs=heirs((ALICE, BOB))) as store:
        await store.write(threads.create, ALICE.name, 1.0, title="Alice")
    assert await titles(folder, BOB.name, Key(BOB.name, "b", formerly="key-1")) == set()
    assert await titles(folder, ALICE.name, BOB, ALICE) == {"Alice"}


async def test_chats_of_before_go_to_the_keys_at_their_places(old: Path) -> None:
    assert await titles(old, ALICE.name, ALICE, BOB) == {"Alice"}
    assert await titles(old, BOB.name, ALICE, BOB) == {"Bob's"}


async def test_this_happens_once(old: Path) -> None:
    assert await titles(old, ALICE.name, ALICE, BOB) == {"Alice"}
    moved_up = Key(BOB.name, "b", formerly="key-1")
    assert await titles(old, BOB.name, moved_up) == {"Bob's"}


async def test_where_the_list_has_changed_since_nobody_gets_what_may_be_anothers(old: Path) -> None:
    moved_up = Key(BOB.name, "b", formerly="key-1")
    assert await titles(old, BOB.name, moved_up, ADMIN) == set()
    assert await titles(old, ADMIN.name, moved_up, ADMIN) == {"Warum", "Alice", "Bob's"}


async def test_what_had_no_owner_belongs_to_the_administrator(old: Path) -> None:
    assert await titles(old, ADMIN.name, ALICE, BOB, ADMIN) == {"Warum"}
    assert await titles(old, "", ALICE, BOB, ADMIN) == set()


async def test_without_an_administrator_it_is_left_and_nobody_sees_it(old: Path) -> None:
    assert await titles(old, ALICE.name, ALICE, BOB) == {"Alice"}
    assert await titles(old, "", ALICE, BOB) == {"Warum"}


async def test_a_first_key_that_comes_later_finds_what_was_asked_without_one(folder: Path) -> None:
    async with Store(folder) as store:
        await store.write(threads.create, "", 1.0, title="Open")
        store.adopt(heirs((ADMIN,)))
        listed = await store.read(threads.listed, ADMIN.name, 10, None)
    assert [thread["title"] for thread in listed["threads"]] == ["Open"]


async def test_it_is_told(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str, int]] = []

    def warning(event: str, **facts: Any) -> None:
        told.append((event, facts["owner"], facts["threads"]))

    monkeypatch.setattr("llmproxy.store.upkeep.log", SimpleNamespace(warning=warning))
    await titles(old, ADMIN.name, ALICE, BOB, ADMIN)
    assert told == [("owner_adopted", "key-1", 1), ("owner_adopted", "key-2", 1), ("owner_adopted", "", 1)]
