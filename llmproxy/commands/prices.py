"""`llmproxy prices [MODEL]`: shows model prices from the built-in table and the configuration."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from llmproxy.accounts import prices
from llmproxy.config import ELSEWHERE, load
from llmproxy.core.usage import DOLLAR

from .table import table

_SHOWN = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "calls")
_HEAD = ("model", "since", "input", "cache read", "cache write", "1 h", "output", "call", "above")


def main(given: argparse.Namespace) -> int:
    config = load(given.config, overrides=ELSEWHERE)
    age = prices.age_in_days(datetime.now(UTC).date())
    source = f"{prices.table()['source']}, made {prices.table()['made']}"
    old = age > prices.MAX_AGE_DAYS
    if given.model:
        rows = [_row(f"{name}/{model}", since, rates) for name, model, since, rates in prices.matches(given.model)]
        own = [_own(pattern, one) for pattern, one in config.prices.items() if given.model.lower() in pattern.lower()]
        if not rows and not own:
            print(
                f"llmproxy: no price is known for {given.model!r}; [prices] in the config can say one", file=sys.stderr
            )
            return 1
        print(table(_HEAD, [*own, *rows]))
        print("\nDollars a million tokens; a call costs its dollars each.")
    count = sum(len(one["models"]) for one in prices.table()["providers"].values())
    print(f"{count} models from {source}; {len(config.prices)} prices of the config go before them.")
    if old:
        print(f"llmproxy: the table is {age} days old: newer versions of llmproxy bring newer prices", file=sys.stderr)
    return int(old and not given.model)


def _row(name: str, since: str, rates: Mapping[str, prices.Rate]) -> tuple[str, ...]:
    shown = [_dollars(rates.get(one), 1 if one == "calls" else 10**6) for one in _SHOWN]
    steps = [step[0] for rate in rates.values() if isinstance(rate, list) for step in rate[1:]]
    return name, since, *shown, f"{min(steps):,} tokens dearer" if steps else ""


def _own(pattern: str, given: str | Mapping[str, float]) -> tuple[str, ...]:
    if isinstance(given, str):
        return pattern, "config", f"as {given}", "", "", "", "", "", ""
    return pattern, "config", *(f"{given[one]:g}" if one in given else "" for one in _SHOWN), ""


def _dollars(rate: prices.Rate | None, count: int) -> str:
    if rate is None:
        return ""
    return f"{(rate[0] if isinstance(rate, list) else rate) * count / DOLLAR:g}"
