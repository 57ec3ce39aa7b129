"""How many bytes the tokens of each model had, as counts of answers: what budgets estimate by survives a restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from .connection import Connection

MOST = 20_000  # rows that are read: the latest
_ADD = """
INSERT INTO token_ratios (kind, model, bucket, answers, seen_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (kind, model, bucket) DO UPDATE SET
  answers = token_ratios.answers + excluded.answers, seen_at = excluded.seen_at"""
_KNOWN = "SELECT kind, model, bucket, answers FROM token_ratios ORDER BY seen_at DESC LIMIT ?"


class Learned(NamedTuple):
    """model: provider/model. bucket: of bytes per token, see accounts/ratios.py. answers: how many fell into it."""

    kind: Literal["in", "out"]
    model: str
    bucket: int
    answers: int


def add(db: Connection, counts: Mapping[Any, int], now: float) -> None:
    """Adds answers by (kind, model, bucket), whatever other processes add meanwhile. now: Unix seconds."""
    for key, answers in sorted(counts.items()):  # in one order, so that no two wait for each other
        db.execute(_ADD, (*key, answers, now))


def known(db: Connection) -> list[Learned]:
    return [Learned._make(row) for row in db.execute(_KNOWN, (MOST,))]


def forget(db: Connection, before: float) -> None:
    """Removes what no answer has shown since."""
    db.execute("DELETE FROM token_ratios WHERE seen_at < ?", (before,))
