"""The log line of a request that has ended."""

from __future__ import annotations

from typing import Any

from llmproxy.core.record import RequestRecord

_ALWAYS = (
    "id", "face", "model", "provider", "provider_model", "attempts", "status", "ttft_ms", "duration_ms", "tokens_in", "tokens_out",
)  # fmt: skip


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
    if record.owner:
        line["owner"] = record.owner
    for name, value in (("failures", record.failures), ("dropped", record.dropped), ("route", record.route)):
        if value:
            line[name] = value
    return line
