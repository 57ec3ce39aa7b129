"""The log line of a request that has ended: fields for JSON, one short line for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmproxy.core.record import RequestRecord

_ALWAYS = (
    "id", "face", "model", "provider", "provider_model", "attempts", "status", "ttft_ms", "duration_ms", "tokens_in", "tokens_out",
)  # fmt: skip
_WIDTH = 91  # columns
_LEAST = 12  # columns of names that are always shown


def facts(record: RequestRecord) -> dict[str, Any]:
    """The line's fields: numbers and names, never a key, never what was said."""
    line: dict[str, Any] = {name: getattr(record, name) for name in _ALWAYS}
    line["outcome"] = record.metric
    line["stream"] = record.stream
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
    """`facts` as at most 91 columns, for a log that people read: 100 with the time before it.

    Status, names, times in ms, tokens in + out, what went wrong, id. Names that are too long are cut, the id is not.
    """
    head, tail = str(line["status"] or "-"), f"{_numbers(line)} {line['id']}"
    room = max(_WIDTH - len(head) - len(tail) - 2, _LEAST)
    names = _names(line)
    return f"{head} {names if len(names) <= room else names[: room - 1] + '…'} {tail}"


def _names(line: Mapping[str, Any]) -> str:
    """`alias -> provider/model`, or the name alone where it is the same."""
    asked = str(line["model"] or "-")
    answered = f"{line['provider']}/{line['provider_model']}" if line["provider"] else ""
    return f"{asked} -> {answered}" if answered and answered != asked else asked


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
