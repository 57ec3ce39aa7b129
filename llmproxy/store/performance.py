"""Speed and reliability of models: computed from the ledger itself, or from its sums if there are many requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from llmproxy.core.chat import Json
from llmproxy.core.errors import GatewayError

from . import rollups
from .rollups import Sums, Target

if TYPE_CHECKING:
    from .connection import Connection

T = TypeVar("T")
Window = Literal["hour", "day", "week"]
WINDOWS: dict[Window, tuple[int, int]] = {  # seconds, and seconds of one point of the series
    "hour": (3600, 60),
    "day": (86_400, 900),
    "week": (604_800, 7200),
}

_SUMS = """
SELECT {key} AS key, count(*) AS requests, count(*) FILTER (WHERE state IN ('failed', 'lost')) AS errors,
  count(*) FILTER (WHERE state = 'cancelled') AS cancelled, sum(tokens_in) AS tokens_in, sum(tokens_out) AS tokens_out,
  sum(cost_e12) / 1e12 AS cost, count(*) FILTER (WHERE code = 'upstream_truncated') AS truncated
FROM ended GROUP BY 1"""
# The nearest rank: the smallest value that is not below the given share of all.
_RANKED = """
SELECT key, share, value FROM (
  SELECT {key} AS key, {column} AS value,
    row_number() OVER ranked AS place, count(*) OVER (PARTITION BY {key}) AS number
  FROM ended WHERE {column} IS NOT NULL AND {which} WINDOW ranked AS (PARTITION BY {key} ORDER BY {column})) AS measured,
  (SELECT 50 AS share UNION ALL SELECT 95) AS shares
WHERE place = (number * share + 99) / 100"""
_ENDED = "WITH ended AS (SELECT * FROM ledger WHERE opened_at >= :start AND opened_at < :stop AND state <> 'open') "


@dataclass(frozen=True, slots=True)
class Measure:
    """A column of the ledger with percentiles: the names of P50 and P95, and which rows count."""

    column: str
    p50: str
    p95: str | None
    which: str = "1 = 1"


MEASURES = (
    Measure("ttft_ms", "ttft_p50_ms", "ttft_p95_ms"),
    Measure("duration_ms", "latency_p50_ms", "latency_p95_ms", "state = 'completed'"),
    Measure("closed_ms", "cancel_p50_ms", "cancel_p95_ms", "state = 'cancelled'"),
    Measure("tokens_per_second", "tokens_per_second", None),
)
NOTHING: Json = {
    "requests": 0,
    "errors": 0,
    "error_rate": None,
    "cancelled": 0,
    **{name: None for one in MEASURES for name in (one.p50, one.p95) if name},
    "tokens_in": 0,
    "tokens_out": 0,
    "cost": None,
    "truncated": 0,
}
SERIES = (
    *("requests", "errors", "cancelled", "ttft_p50_ms", "ttft_p95_ms"),
    *("latency_p50_ms", "latency_p95_ms", "tokens_per_second", "tokens_in", "tokens_out"),
)


SECONDS = 10.0  # time limit for figures


class TookTooLong(GatewayError):
    """The figures were not ready in time: the sums of many requests are still being computed."""

    status = 503
    code = "figures_timeout"


def bounded(db: Connection, left: Event, job: Callable[[Connection], T]) -> T:
    """Runs `job` for at most SECONDS, and only while a caller waits for it (`left`). Raises TookTooLong."""
    try:
        with db.within(SECONDS, left.is_set):
            return job(db)
    except TimeoutError as error:
        text = "The figures took too long. Right after an update the database is still summing its requests: ask again."
        raise TookTooLong(text, headers={"Retry-After": "10"}) from error


EXACT = 10_000  # requests; with more of them, sums are used, and percentiles have an error of 2 %


def performance(db: Connection, window: Window, now: float) -> Json:
    """Totals, by model, and as a series, of requests that began in the window and have ended."""
    seconds, step = WINDOWS[window]
    stop = (int(now) // step + 1) * step
    start = stop - seconds
    summed = step in rollups.STEPS and rollups.number(db, step, start, stop) > EXACT
    total, models, points = (_from_sums if summed else _from_rows)(db, start, stop, step)
    return {
        "window": window,
        "from": start,
        "to": stop,
        "approximate": summed,
        "total": total,
        "models": _named(models),
        "series": _series(points, start, seconds // step, step),
    }


Totals = tuple[Json, dict[Target, Json], dict[int, Json]]  # in all, by provider and model, and by step of the window


def _from_rows(db: Connection, start: int, stop: int, step: int) -> Totals:
    import json

    span = {"start": start, "stop": stop, "step": step}
    models = _numbers(db, db.sql.pair.format("provider", "coalesce(provider_model, model)"), span)
    points = _numbers(db, db.sql.whole.format("(opened_at - :start) / :step"), span)
    named = {(provider, model): one for key, one in models.items() for provider, model in [json.loads(key)]}
    return _numbers(db, "0", span).get(0, NOTHING), named, points


def _from_sums(db: Connection, start: int, stop: int, step: int) -> Totals:
    total, models, points = Sums(), dict[Target, Sums](), dict[int, Sums]()
    for (begin, target), sums in rollups.between(db, step, start, stop).items():
        models.setdefault(target, Sums()).merge(sums)
        points.setdefault(int(begin - start) // step, Sums()).merge(sums)
    for sums in models.values():
        total.merge(sums)
    by_model = {target: _shown(sums) for target, sums in models.items()}
    return _shown(total), by_model, {at: _shown(sums) for at, sums in points.items()}


def _shown(sums: Sums) -> Json:
    figures: Json = {name: getattr(sums, name) for name in NOTHING if hasattr(sums, name)}
    figures["cost"] = sums.cost_e12 / 1e12 if sums.cost_e12 is not None else None
    figures["error_rate"] = sums.errors / sums.requests
    for one in MEASURES:
        figures[one.p50] = sums.percentile(one.column, 50)
        if one.p95:
            figures[one.p95] = sums.percentile(one.column, 95)
    return {**NOTHING, **figures}


def _numbers(db: Connection, key: str, span: dict[str, int]) -> dict[Any, Json]:
    """Numbers for each group of requests with the same `key`, an SQL expression of ours."""
    found: dict[Any, Json] = {}
    for row in db.execute(_ENDED + _SUMS.format(key=key), span):
        figures = {name: row[name] for name in row.keys() if row[name] is not None and name != "key"}  # noqa: SIM118
        found[row["key"]] = {**NOTHING, **figures, "error_rate": row["errors"] / row["requests"]}
    for one in MEASURES:
        sql = _ENDED + _RANKED.format(key=key, column=one.column, which=one.which)
        for row_key, share, value in db.execute(sql, span):
            name = one.p50 if share == 50 else one.p95
            if name:
                found[row_key][name] = round(value, 3)
    return found


def _named(models: dict[Target, Json]) -> list[Json]:
    ranked = sorted(models.items(), key=lambda pair: -pair[1]["requests"])
    return [{"provider": provider, "model": model, **numbers} for (provider, model), numbers in ranked]


def _series(points: dict[Any, Json], start: int, count: int, step: int) -> Json:
    times = [start + at * step for at in range(count)]
    return {"t": times, **{name: [points.get(at, NOTHING)[name] for at in range(count)] for name in SERIES}}
