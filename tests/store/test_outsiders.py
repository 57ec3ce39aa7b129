"""Others open and close the database beside a running process; then it is killed: nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.store.test_kill import VICTIM, kept, sound

ROUNDS = int(os.environ.get("LLMPROXY_OUTSIDERS", "2"))
_CHECK = "import sys, pathlib; from llmproxy.store import Store; Store(pathlib.Path(sys.argv[1])).check()"


def a_reader(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "llmproxy.db")) as connection:
        connection.execute("SELECT count(*) FROM messages").fetchone()


def the_command_line_shell(folder: Path) -> None:
    code = f"import sqlite3; c = sqlite3.connect({str(folder / 'llmproxy.db')!r}); c.execute('SELECT 1 FROM threads'); c.close()"
    subprocess.run([sys.executable, "-c", code], check=True)


def check(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", _CHECK, str(folder)], check=True)


def a_backup(folder: Path) -> None:
    target = folder.parent / f"backup-{random.random()}.db"
    environment = {**os.environ, "LLMPROXY_DATA_DIR": str(folder)}
    subprocess.run(
        [sys.executable, "-m", "llmproxy", "backup", str(target)],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    with closing(sqlite3.connect(target)) as copied:
        assert copied.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def a_second_process(folder: Path) -> None:
    """Writes on the same folder, and ends in an orderly way."""
    with victim(folder, "3") as second:
        second.wait(30)


def a_replaced_process(folder: Path) -> None:
    """Writes on the same folder, is killed, and another one takes its place."""
    with victim(folder) as second:
        assert second.stdout is not None
        second.stdout.readline()
        second.kill()
    a_second_process(folder)


OUTSIDERS = (a_reader, the_command_line_shell, check, a_backup, a_second_process, a_replaced_process)
SLOW = [
    pytest.param(one, marks=[] if one in (a_reader, a_replaced_process) else pytest.mark.thorough) for one in OUTSIDERS
]


def victim(folder: Path, *rounds: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, str(VICTIM), str(folder), *rounds], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("outsider", SLOW, ids=lambda outsider: outsider.__name__)
@pytest.mark.timeout(60 + 60 * ROUNDS)
async def test_nothing_acknowledged_is_lost(outsider: Callable[[Path], None], folder: Path) -> None:
    said: list[str] = []
    for _ in range(ROUNDS):
        with victim(folder) as process:
            assert process.stdout is not None
            said += [process.stdout.readline() for _ in range(10)]
            outsider(folder)
            said += [process.stdout.readline() for _ in range(30)]
            process.kill()
            said += process.stdout.readlines()
        ended = {line.split()[1] for line in said if line.startswith("ended") and line.endswith("\n")}
        found = await kept(folder)
        assert ended
        assert [id for id in ended if found.get(id) != ("complete", 10_000)] == []
        sound(folder)


@pytest.mark.parametrize("outsider", OUTSIDERS, ids=lambda outsider: outsider.__name__)
def test_the_write_ahead_log_in_use_is_not_deleted(outsider: Callable[[Path], None], folder: Path) -> None:
    with victim(folder) as process:
        assert process.stdout is not None
        for _ in range(10):
            process.stdout.readline()
        log = folder / "llmproxy.db-wal"
        before = log.stat().st_ino
        outsider(folder)
        assert log.stat().st_ino == before
        process.kill()


def test_a_new_database_is_made_by_one_of_many_threads(folder: Path) -> None:
    code = """
import sys, pathlib
from concurrent.futures import ThreadPoolExecutor
from llmproxy.store.sqlite.database import connect
with ThreadPoolExecutor(8) as pool:
    made = list(pool.map(lambda _: connect(pathlib.Path(sys.argv[1])), range(8)))
made[0].execute("INSERT INTO threads (id, owner, title, created_at, updated_at) VALUES ('t', '', '', 0, 0)")
sys.exit(any(one.execute("SELECT count(*) FROM threads").fetchone()[0] != 1 for one in made))
"""
    assert subprocess.run([sys.executable, "-c", code, str(folder)], check=False).returncode == 0
