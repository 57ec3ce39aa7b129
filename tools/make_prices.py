"""Makes llmproxy/accounts/price_table.json from the data of the package `genai-prices`; `make prices` runs it.

Prices become integers of 1e-12 dollars a token (a call, for searches). Left out are batch prices, prices by the hour of the
day, and what is not counted in tokens or calls.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices.data import providers
from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    TieredPrices,
)

TABLE = Path(__file__).parents[1] / "llmproxy" / "accounts" / "price_table.json"
CLASSES = {  # of Tokens: the price's name there, and how many tokens it is for
    "input": ("input_mtok", 10**6),
    "cache_read": ("cache_read_mtok", 10**6),
    "cache_write_5m": ("cache_write_mtok", 10**6),
    "cache_write_1h": ("cache_write_1h_mtok", 10**6),
    "output": ("output_mtok", 10**6),
    "reasoning": ("output_reasoning_mtok", 10**6),
    "audio_in": ("input_audio_mtok", 10**6),
    "audio_out": ("output_audio_mtok", 10**6),
    "image_in": ("input_image_mtok", 10**6),
    "image_out": ("output_image_mtok", 10**6),
    "calls": ("web_searches_kcount", 1000),
    "request": ("requests_kcount", 1000),
}
MATCHES = {
    ClauseEquals: ("=", "equals"),
    ClauseStartsWith: ("^", "starts_with"),
    ClauseEndsWith: ("$", "ends_with"),
    ClauseContains: ("~", "contains"),
    ClauseRegex: ("/", "regex"),
}


def main() -> None:
    table = {
        "source": f"genai-prices {version('genai-prices')} (MIT, see NOTICE)",
        "made": datetime.now(UTC).date().isoformat(),
        "providers": {one.id: provider(one) for one in providers},
    }
    lines = json.dumps(table, separators=(",", ":"), ensure_ascii=False).replace('"],[[', '"],\n[[')
    TABLE.write_text(lines + "\n", encoding="utf-8")
    print(f"{TABLE.name}: {sum(len(one['models']) for one in table['providers'].values())} models")


def provider(one: Any) -> dict[str, Any]:
    models = [[model.id, match(model.match), prices(model)] for model in one.models]
    return {
        "url": one.api_pattern,
        "also": one.fallback_model_providers or [],
        "models": [model for model in models if model[2]],
    }


def match(clause: Any) -> list[Any]:
    """As a list: ["|", ...] and ["&", ...] of others, or [sign, text]."""
    if isinstance(clause, (ClauseOr, ClauseAnd)):
        inner = clause.or_ if isinstance(clause, ClauseOr) else clause.and_
        return ["|" if isinstance(clause, ClauseOr) else "&", *(match(one) for one in inner)]
    sign, name = MATCHES[type(clause)]
    return [sign, getattr(clause, name)]


def prices(model: ModelInfo) -> list[Any]:
    """[since, prices] by date, the oldest first; "" is always."""
    given = model.prices if isinstance(model.prices, list) else [model.prices]
    dated: dict[str, Any] = {}
    for one in given:
        if isinstance(one, ModelPrice):
            dated[""] = row(one)
        elif one.constraint is None:
            dated[""] = row(one.prices)
        elif isinstance(one.constraint, StartDateConstraint):
            dated[date.isoformat(one.constraint.start_date)] = row(one.prices)
    return [[since, row] for since, row in sorted(dated.items()) if row]


def row(price: ModelPrice) -> dict[str, Any]:
    found = {name: value(getattr(price, key), per) for name, (key, per) in CLASSES.items()}
    return {name: one for name, one in found.items() if one is not None}


def value(price: Decimal | TieredPrices | None, per: int) -> Any:
    """An integer, or [base, [above so many tokens of input, price], ...]."""
    if price is None:
        return None
    if isinstance(price, TieredPrices):
        return [value(price.base, per), *([tier.start, value(tier.price, per)] for tier in price.tiers)]
    return round(price * 10**12 / per)


if __name__ == "__main__":
    main()
