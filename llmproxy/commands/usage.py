"""`llmproxy usage`: shows usage and cost from the database; `usage reconcile FILE` compares them with a provider's bill."""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from llmproxy.config import ELSEWHERE, ConfigError, load
from llmproxy.core.chat import Json
from llmproxy.core.errors import GatewayError
from llmproxy.core.usage import in_e12
from llmproxy.server.opened_store import OpenedStores
from llmproxy.store import Store
from llmproxy.store.usage import Billed, Span, reconcile, usage

from .table import table

_HEAD = ("requests", "attempts", "input", "cache read", "cache write", "output", "reasoning", "unpriced", "cost $")
# Column names in exports of providers: the first one that exists is used.
_IDS = ("generation_id", "request_id", "id")
_IN = ("tokens_prompt", "native_tokens_prompt", "prompt_tokens", "input_tokens", "tokens_in")
_OUT = ("tokens_completion", "native_tokens_completion", "completion_tokens", "output_tokens", "tokens_out")
_COST = ("cost_total", "total_cost", "cost", "usage")


def main(given: argparse.Namespace) -> int:
    try:
        return asyncio.run(_reconciled(given) if given.action == "reconcile" else _used(given))
    except GatewayError as error:
        print(f"llmproxy: {error}", file=sys.stderr)
        return 1


def opened(config_file: Path | None) -> Store:
    """The database, also of a running gateway. Raises ConfigError if storage is off."""
    config = load(config_file, overrides=ELSEWHERE, has_keys=lambda _: True)
    if not config.storage.enabled:
        raise ConfigError("[storage] enabled = false: nothing is kept on disk")
    return OpenedStores(lambda: config)()


async def _used(given: argparse.Namespace) -> int:
    async with opened(given.config) as store:
        rows = await store.read(usage, given.by, Span(given.since, given.until))
    if given.json:
        print(json.dumps(rows, indent=2))
    elif given.csv:
        flat = [{**row, **row["tokens"]} for row in rows]
        names = [name for name in (flat[0] if flat else {given.by: ""}) if name != "tokens"]
        out = csv.DictWriter(sys.stdout, names, extrasaction="ignore")
        out.writeheader()
        out.writerows(flat)
    else:
        print(table((given.by, *_HEAD), [_row(given.by, row) for row in rows]))
    return 0


def _row(by: str, row: Json) -> tuple[str, ...]:
    tokens = row["tokens"]
    counts = (
        row["requests"], row["attempts"], tokens["input"], tokens["cache_read"],
        tokens["cache_write_5m"] + tokens["cache_write_1h"], tokens["output"], tokens["reasoning"], row["unpriced"],
    )  # fmt: skip
    return str(row[by]) or "-", *(f"{count:,}" if count else "" for count in counts), f"{row['cost']:.6f}"


async def _reconciled(given: argparse.Namespace) -> int:
    if given.file is None:
        raise ConfigError("usage reconcile needs a FILE: the provider's export, as CSV, JSON or JSON lines")
    lines = list(billed(_exported(given.file)))
    async with opened(given.config) as store:
        report = await store.write(reconcile, lines)
    print(json.dumps(report, indent=2))
    return int(bool(report["missing"] or report["differs"]))


def _exported(path: Path) -> Iterable[Mapping[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    try:
        if text.startswith("["):
            return list(json.loads(text))
        if text.startswith("{"):
            whole = [json.loads(line) for line in text.splitlines() if line.strip()]
            return whole[0]["data"] if len(whole) == 1 and isinstance(whole[0].get("data"), list) else whole
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from None
    return csv.DictReader(text.splitlines())


def billed(rows: Iterable[Mapping[str, Any]]) -> Iterator[Billed]:
    """The lines of an export that have an ID."""
    for row in rows:
        if id := _first(row, _IDS):
            tokens_in, tokens_out, cost = (_number(_first(row, names)) for names in (_IN, _OUT, _COST))
            yield Billed(str(id), _whole(tokens_in), _whole(tokens_out), None if cost is None else in_e12(cost))


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)
