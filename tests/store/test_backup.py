"""`llmproxy backup`: a whole copy under the name that was given, or none."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from llmproxy.core.errors import Damaged, StoreError
from llmproxy.store.sqlite import backup
from llmproxy.store.sqlite.database import FILE, connect


@pytest.fixture
def target(folder: Path, tmp_path: Path) -> Path:
    """Where a copy may be made of a database that has one thread."""
    with closing(connect(folder)) as database:
        database.execute("INSERT INTO threads (id, owner, title, created_at, updated_at) VALUES ('t', '', 'T', 0, 0)")
    made = tmp_path / "copies"
    made.mkdir()
    return made / "copy.db"


def titles(database: Path) -> list[tuple[str]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT title FROM threads").fetchall()


def test_the_copy_is_one_file_for_its_owner_only(folder: Path, target: Path) -> None:
    assert backup.copy(str(folder), target) == target.stat().st_size
    assert titles(target) == [("T",)]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(target.parent.iterdir()) == [target]


def test_what_is_only_in_the_write_ahead_log_is_copied(folder: Path, target: Path) -> None:
    with closing(connect(folder)) as database:
        database.execute("UPDATE threads SET title = 'Now'")
        backup.copy(str(folder), target)
    assert titles(target) == [("Now",)]


def test_a_file_that_appears_meanwhile_is_not_replaced(
    folder: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = backup._copied

    def copied_slowly(source: Path, part: Path) -> None:
        copied(source, part)
        target.write_text("mine")

    monkeypatch.setattr(backup, "_copied", copied_slowly)
    with pytest.raises(StoreError, match="exists"):
        backup.copy(str(folder), target)
    assert target.read_text() == "mine"
    assert list(target.parent.iterdir()) == [target]


def test_of_two_backups_to_one_name_the_first_to_end_is_kept_whole(
    folder: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = backup._copied

    def overtaken(source: Path, part: Path) -> None:
        monkeypatch.setattr(backup, "_copied", copied)
        backup.copy(str(folder), target)
        copied(source, part)

    monkeypatch.setattr(backup, "_copied", overtaken)
    with pytest.raises(StoreError, match="exists"):
        backup.copy(str(folder), target)
    assert titles(target) == [("T",)]
    assert list(target.parent.iterdir()) == [target]


def test_a_damaged_database_is_told_and_leaves_no_copy(folder: Path, target: Path) -> None:
    (folder / FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(Damaged):
        backup.copy(str(folder), target)
    assert list(target.parent.iterdir()) == []


def test_a_folder_that_is_missing_is_named(folder: Path, target: Path) -> None:
    with pytest.raises(StoreError, match="There is no folder"):
        backup.copy(str(folder), target.parent / "elsewhere" / "copy.db")
