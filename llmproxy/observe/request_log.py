"""The log line of a finished request: fields for JSON, one short line for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmproxy.core.record import RequestRecord

_WIDTH = 91  # columns
_LEAST = 12  # columns of a name that are always shown


def facts(record: RequestRecord) -> dict[str, Any]:
    """The fields of the line: numbers and names, never a key, never content."""
    line: dict[str, Any] = {
        "id": record.id,
        "face": record.face,
        "model": record.model,
        "provider": record.provider,
        "provider_model": record.provider_model,
        "attempts": record.attempts,
        "status": record.status,
        "ttft_ms": record.ttft_ms,
        "duration_ms": record.duration_ms,
        "tokens_in": record.tokens_in,
        "tokens_out": record.tokens_out,
        "outcome": record.metric,
        "stream": record.stream,
    }
    if record.usage_source == "estimated":
        line["estimated"] = True
    if record.stopped_by:
        line["by"], line["closed_ms"] = record.stopped_by, record.closed_ms
    if record.code:
        line["code"] = record.code
    if record.cache:
        line["cache"] = record.cache
    if record.owner:
        line["owner"] = record.owner
    for name, value in (("failures", record.failures), ("dropped", record.dropped), ("route", record.route)):
        if value:
            line[name] = value
    return line


def short(line: Mapping[str, Any]) -> str:
    """`facts` in at most 91 columns, for a text log: 100 with the time before it.

    Status, names, times in ms, tokens in + out, error, ID. Long names are cut, the ID is not.
    """
    head, tail = str(line["status"] or "-"), f"{_numbers(line)} {line['id']}"
    room = max(_WIDTH - len(head) - len(tail) - 2, _LEAST)
    names = _names(line)
    return f"{head} {names if len(names) <= room else names[: room - 1] + '…'} {tail}"


def _names(line: Mapping[str, Any]) -> str:
    """`alias -> provider/model`, or only the name if both are the same."""
    requested = str(line["model"] or "-")
    answered = f"{line['provider']}/{line['provider_model']}" if line["provider"] else ""
    return f"{requested} -> {answered}" if answered and answered != requested else requested


def _numbers(line: Mapping[str, Any]) -> str:
    parts = [f"{line['duration_ms'] or 0:.0f} ms"]
    if line["ttft_ms"] is not None:
        parts.append(f"(first {line['ttft_ms']:.0f})")
    if line["tokens_in"] is not None or line["tokens_out"] is not None:
        mark = "~" if line.get("estimated") else ""
        parts.append(f"{mark}{line['tokens_in'] or 0}+{line['tokens_out'] or 0} tok")
    if line["attempts"] and line["attempts"] > 1:
        parts.append(f"{line['attempts']} attempts")
    if line.get("code"):
        parts.append(str(line["code"]))
    if line.get("by"):
        parts.append(f"by {line['by']}")
    return " ".join(parts)
