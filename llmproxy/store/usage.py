"""Usage and cost, summed from the attempts of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from llmproxy.core.chat import Json
from llmproxy.core.usage import DOLLAR, Tokens

if TYPE_CHECKING:
    from .connection import Connection

By = Literal["key", "group", "model", "provider", "day"]
BY: Mapping[By, str] = {
    "key": "owner",
    "group": "grp",
    "model": "provider || '/' || model",
    "provider": "provider",
    "day": "{day}",
}
_CLASSES = ", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in Tokens._fields)
_SUMS = f"""
SELECT {{key}} AS key, count(DISTINCT opened_at || id) AS requests, count(*) AS attempts, {_CLASSES},
  count(*) FILTER (WHERE usage_source = 'estimated') AS estimated, count(*) FILTER (WHERE state = 'unknown') AS unknown,
  count(*) FILTER (WHERE cost_e12 IS NULL AND input + output > 0) AS unpriced, coalesce(sum(cost_e12), 0) AS cost_e12
FROM attempts WHERE opened_at >= :since AND opened_at < :until AND {{whose}}
GROUP BY 1 ORDER BY cost_e12 DESC, requests DESC, 1"""


class Span(NamedTuple):
    """Unix seconds: from `since` until before `until`."""

    since: float
    until: float


def usage(db: Connection, by: By, span: Span, owner: str | None = None) -> list[Json]:
    """One row for each key, group, model, provider or day (UTC), the most expensive first; of everybody, or of one owner."""
    params: dict[str, Any] = {"since": span.since, "until": span.until}
    if owner is not None:
        params["owner"] = owner
    key, whose = BY[by].format(day=db.sql.day.format("opened_at")), "1 = 1" if owner is None else "owner = :owner"
    return [_row(by, dict(row)) for row in db.execute(_SUMS.format(key=key, whose=whose), params)]


def _row(by: By, row: dict[str, Any]) -> Json:
    named: Json = {by: row.pop("key")}
    tokens = {name: row.pop(name) for name in Tokens._fields}
    return {**named, **row, "cost": row["cost_e12"] / DOLLAR, "tokens": tokens}


# Beside a provider's bill


class Billed(NamedTuple):
    """One line of a provider's export. A missing value is None."""

    id: str
    tokens_in: int | None
    tokens_out: int | None
    cost_e12: int | None


def reconcile(db: Connection, lines: list[Billed]) -> Json:
    """Compares the provider's lines with the attempts that have their IDs, and settles those whose cost was unknown.

    missing: billed, but not in the ledger. differs: counted differently. settled: unknown until now.
    """
    result: Json = {"lines": len(lines), "equal": 0, "missing": [], "differs": [], "settled": []}
    for line in lines:
        row = db.execute("SELECT * FROM attempts WHERE provider_id = ? OR id = ?", (line.id, line.id)).fetchone()
        if row is None:
            result["missing"].append(line._asdict())
        elif row["state"] == "unknown":
            _settle(db, row, line)
            result["settled"].append(line._asdict())
        elif different := _differences(row, line):
            result["differs"].append({"id": line.id, "here": {n: ours for n, ours, _ in different},
                                    "billed": {n: theirs for n, _, theirs in different}})  # fmt: skip
        else:
            result["equal"] += 1
    return result


def _differences(row: Any, line: Billed) -> list[tuple[str, int | None, int]]:
    tokens = Tokens._make([row[name] or 0 for name in Tokens._fields])
    ours = {"tokens_in": tokens.prompt, "tokens_out": tokens.completion, "cost_e12": row["cost_e12"]}
    theirs = line._asdict()
    return [(name, ours[name], theirs[name]) for name in ours if theirs[name] not in (None, ours[name])]


def _settle(db: Connection, row: Any, line: Billed) -> None:
    db.execute(
        "UPDATE attempts SET state = 'answered', usage_source = 'provider', input = ?, output = ?, cost_e12 = ?, "
        "price_id = 'reconciled' WHERE opened_at = ? AND id = ? AND number = ?",
        (line.tokens_in, line.tokens_out, line.cost_e12, row["opened_at"], row["id"], row["number"]),
    )
