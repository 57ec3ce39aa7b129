"""`llmproxy models`: what the running gateway offers, as a table or as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from llmproxy.config import reach

from . import gateway_calls
from .table import table

_HEAD = ("model", "targets", "context", "max output", "$/M in", "$/M out", "input")


def main(given: argparse.Namespace) -> int:
    place = reach(given.base_url)
    try:
        models = gateway_calls.models(place)
    except gateway_calls.FAILURES as error:
        print(f"llmproxy: {gateway_calls.explained(place, error)}", file=sys.stderr)
        return 1
    if given.json:
        print(json.dumps(models, indent=2, ensure_ascii=False))
    else:
        print(table(_HEAD, [_row(model) for model in models]))
    return 0


def _row(model: Mapping[str, Any]) -> tuple[str, ...]:
    known = model.get("llmproxy") or {}
    input = [*(known.get("input") or []), *(name for name in ("tools", "reasoning") if known.get(name))]
    targets = (known.get("targets") or []) if known.get("kind") in ("alias", "pattern") else []
    prices = known.get("pricing") or {}
    return (
        str(model.get("id")),
        " ".join(map(str, targets)),
        _number(known.get("context_length")),
        _number(known.get("max_output")),
        _per_million(prices.get("prompt")),
        _per_million(prices.get("completion")),
        " ".join(input),
    )


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else ""


def _per_million(per_token: Any) -> str:
    """A price in dollars per million tokens; empty if unknown."""
    return f"{float(per_token) * 1_000_000:g}" if isinstance(per_token, (int, float, str)) and per_token != "" else ""
