"""Draws a flight record as a timeline in 80 columns of plain characters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from llmproxy.core.chat import Json

from .table import plain

WIDTH = 80
_LABEL, _NOTE = 24, 17
_BAR = WIDTH - _LABEL - _NOTE - 4  # the frame and two spaces
_LEGEND = "- connecting  . waiting  = first token  # answer  ~ silence  + waiting here"


class Span(NamedTuple):
    """A part of a bar, in milliseconds."""

    start: float
    end: float
    sign: str


class Row(NamedTuple):
    label: str
    start: float
    spans: list[Span]
    note: str


def waterfall(trace: Mapping[str, Any]) -> str:
    """The record as lines. told: the answer of GET /v1/requests/{id}/trace."""
    end = max(1.0, float(trace["now_ms"]))
    rows = [*(_wait(one, end) for one in trace["waits"]), *(_attempt(one, end) for one in trace["attempts"])]
    lines = [*_head(trace), "", _axis(end)]
    lines += [_line(row, end) for row in sorted(rows, key=lambda row: row.start)]
    if trace["attempts_left_out"]:
        lines.append(f"and {trace['attempts_left_out']} more attempts in between")
    return "\n".join([*lines, "", _LEGEND, *_foot(trace)])


def _head(trace: Mapping[str, Any]) -> list[str]:
    by = f" by {trace['by']}" if trace["by"] else ""
    code = f" ({trace['code']})" if trace["code"] else ""
    sizes = f"in {size(trace['bytes']['in'])}, out {size(trace['bytes']['out'])}"
    return [
        plain(f"{trace['id']}  {trace['model']}")[:WIDTH],
        plain(f"{trace['state']}{by}{code}, {seconds(trace['now_ms'])}, {sizes}")[:WIDTH],
    ]


def _axis(end: float) -> str:
    last = seconds(end)
    return " " * (_LABEL + 1) + "0" + last.rjust(_BAR - 1)


def _wait(one: Json, end: float) -> Row:
    until = end if one["end_ms"] is None else one["end_ms"]
    label = f"  {one['kind']}" + (f" after {one['code']}" if one["code"] else "")
    return Row(label, one["start_ms"], [Span(one["start_ms"], until, "+")], seconds(until - one["start_ms"]))


def _attempt(one: Json, end: float) -> Row:
    """Each part of the bar ends where the next one begins; a step that was not reached has no part."""
    stops = [(one["start_ms"], "-"), (one["sent_ms"], "."), (one["headers_ms"], "="), (one["first_frame_ms"], "#")]
    there = [(at, sign) for at, sign in stops if at is not None]
    ends = [*(at for at, _ in there[1:]), end if one["end_ms"] is None else one["end_ms"]]
    spans = [Span(at, until, sign) for (at, sign), until in zip(there, ends, strict=True)]
    for gap in (one["gaps"] or {}).get("longest", ()):
        spans.append(Span(gap["start_ms"], gap["start_ms"] + gap["ms"], "~"))
    label = f"{one['number']} {one['why']} {one['provider']}/{one['model']}"
    return Row(label, one["start_ms"], spans, _how(one, ends[-1] - one["start_ms"]))


def _how(one: Json, ms: float) -> str:
    failed = one["state"] not in ("answered", "open", "opening")
    why = one["status"] if failed and (one["status"] or 0) >= 400 else one["state"].replace("_", " ") if failed else ""
    return " ".join(str(part) for part in (seconds(ms), why) if part)


def _line(row: Row, end: float) -> str:
    cells = [" "] * _BAR
    for span in row.spans:
        first = min(_BAR - 1, int(span.start / end * _BAR))
        last = max(first, min(_BAR - 1, round(span.end / end * _BAR) - 1))
        cells[first : last + 1] = span.sign * (last + 1 - first)
    label = plain(row.label)
    label = label if len(label) <= _LABEL else label[: _LABEL - 2] + ".."
    return f"{label:<{_LABEL}}|{''.join(cells)}| {plain(row.note)[:_NOTE]}".rstrip()


def _foot(trace: Mapping[str, Any]) -> list[str]:
    stop = trace["stop"]
    if stop is None:
        return []
    closed = "not yet closed" if stop["closed_ms"] is None else f"closed {stop['closed_ms']:.1f} ms later"
    lines = [f"stopped by {stop['by']} at {seconds(stop['at_ms'])}, {closed}"]
    if not stop["asked_provider"]:
        lines.append("no provider had been called: nothing was spent")
    elif stop["tokens_not_written_at_most"] is None:
        lines.append("the saving is unknown: the request had no token limit")
    else:
        cost = stop["cost_not_spent_at_most"]
        money = f", {cost:.6f} dollars" if cost is not None else ""
        lines.append(f"up to {stop['tokens_not_written_at_most']:,} tokens not written{money}")
    return lines


def seconds(ms: float) -> str:
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"


def size(count: Any) -> str:
    if count is None:
        return "?"
    for unit in ("B", "kB", "MB"):
        if count < 1000 or unit == "MB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return ""
