"""kill -9 at any moment: what was acknowledged is there, no row is broken, a half answer is marked as such."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmproxy.store import Store
from llmproxy.store.sqlite.database import connect

KILLS = int(os.environ.get("LLMPROXY_KILLS", "60" if os.environ.get("CI") else "12"))
VICTIM = Path(__file__).with_name("victim.py")


def killed_after(lines: int, folder: Path) -> list[list[str]]:
    """Runs the victim until it has said so many lines, kills it, and gives all that it has said."""
    with subprocess.Popen([sys.executable, str(VICTIM), str(folder)], stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        said = [victim.stdout.readline() for _ in range(lines)]
        victim.kill()
        said += victim.stdout.readlines()
    return [line.split() for line in said if line.endswith("\n")]


async def kept(folder: Path) -> dict[str, tuple[str, int]]:
    async with Store(folder) as store:
        rows = await store.read(lambda db: db.execute("SELECT id, state, text FROM messages").fetchall())
        left = await store.read(lambda db: db.execute("SELECT count(*) FROM ledger WHERE state = 'open'").fetchone())
        assert left[0] == 0  # what the dead left open was closed as lost
    return {id: (state, len(text)) for id, state, text in rows}


def sound(folder: Path) -> None:
    connection: Any = connect(folder)
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    connection.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
    connection.close()


@pytest.mark.timeout(60 + 10 * KILLS)
async def test_no_acknowledged_answer_is_lost_or_broken(folder: Path) -> None:
    chance = random.Random(4)
    promised: dict[str, int] = {}
    ended: set[str] = set()
    for _ in range(KILLS):
        for kind, id, *size in killed_after(chance.randint(1, 60), folder):
            promised[id] = int(size[0]) if size else 0
            if kind == "ended":
                ended.add(id)
        found = await kept(folder)
        assert {found[id] for id in ended} <= {("complete", 10_000)}
        for id, least in promised.items():
            state, length = found[id]
            assert state in {"complete", "lost"}
            assert length >= least
            assert (state == "complete") == (length == 10_000)
    sound(folder)
