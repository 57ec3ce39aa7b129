"""Background work of the database in short slices: removes what is old, and closes what dead processes have left open."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from llmproxy.observe.log import log

from . import ledger, messages, owners, replay, rollups, spend, threads, token_ratios

if TYPE_CHECKING:
    from .connection import Connection
    from .engine import Engine

CROWDED_SECONDS = 1.0  # pause while long reads make the write-ahead log grow
SLICE_SECONDS = 0.02  # after this time no further part of a slice is begun
DAY = 86_400.0
# After each change the database checks whether the readers have ended for which its write-ahead log was kept.
_LOOK_AGAIN = (
    "INSERT INTO progress (id, place) VALUES ('crowded', ?) ON CONFLICT (id) DO UPDATE SET place = excluded.place"
)


def slice_of_work(db: Connection, now: float, ledger_days: float, tape_seconds: float) -> float | None:
    """One slice. Returns the seconds until the next one; None if there is no more work. now: Unix seconds."""
    if not db.alone("chores"):
        return None
    if db.crowded:
        db.execute(_LOOK_AGAIN, (now,))
        return CROWDED_SECONDS
    before = now - ledger_days * DAY
    rollups.forget(db, before, now)
    token_ratios.forget(db, before)
    until = time.monotonic() + SLICE_SECONDS
    parts: tuple[Callable[[], bool], ...] = (
        lambda: threads.remove(db, now),
        lambda: ledger.forget(db, before),
        lambda: replay.forget(db, now - tape_seconds),
        lambda: rollups.advance(db, now),
    )
    more = [_more(part, until) for part in parts]
    return 0.0 if any(more) or _more(db.compact, until) else None


def sweep(db: Connection, engine: Engine, own: str, now: float) -> None:
    """Closes what dead processes have left open. own: the ID of this process. now: Unix seconds."""
    dead = (_left_open(db) | engine.entered(db)) - engine.living(db) - {own}
    if not dead or not db.alone("sweep"):
        return
    for process in sorted(dead):
        if not engine.bury(db, process):
            continue
        messages.lose(db, process)
        spend.settle_dead(db, process)
        ledger.lose(db, process, now)


def adopt(db: Connection, heirs: Mapping[str, str]) -> None:
    """Moves rows to the present owners, and logs it."""
    for one in owners.adopt(db, heirs):
        event = "owner_adopted" if one.to is not None else "owner_unknown"
        log.warning(event, owner=one.owner, to=one.to, threads=one.threads, requests=one.requests)


def _more(part: Callable[[], bool], until: float) -> bool:
    """Does a part of a slice, and continues while there is work and time. Returns whether there is more work."""
    while more := part():
        if time.monotonic() > until:
            break
    return more


def _left_open(db: Connection) -> set[str]:
    """The processes with unfinished requests or answers."""
    rows = db.execute(
        "SELECT process FROM messages WHERE state = 'streaming' UNION SELECT process FROM ledger WHERE state = 'open' "
        "UNION SELECT process FROM leases"
    )
    return {process for (process,) in rows}
