"""Token prices: those of the configuration first, then the built-in table. An unknown price is None, never 0."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from llmproxy.core.chat import Json
from llmproxy.core.usage import Tokens, in_e12

TABLE = Path(__file__).parent / "price_table.json"
MAX_AGE_DAYS = 60

_DAY = 86_400

_PER_MILLION = 10**6
# A class without a price of its own costs what the class behind it does. `calls` have none.
_INSTEAD = {
    "cache_read": "input",
    "cache_write_5m": "input",
    "cache_write_1h": "cache_write_5m",
    "audio_in": "input",
    "image_in": "input",
    "audio_out": "output",
    "image_out": "output",
    "reasoning": "output",
}
_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])([0-3]\d)(?=-|:|$)")
_MATCHES: Mapping[str, Callable[[str, str], bool]] = {
    "=": lambda text, model: model == text,
    "^": lambda text, model: model.startswith(text),
    "$": lambda text, model: model.endswith(text),
    "~": lambda text, model: text in model,
    "/": lambda text, model: re.search(text, model) is not None,
}

Rate = int | list[Any]  # 1e-12 dollars each, or [base, [above so many tokens of input, rate], ...]


class Price(NamedTuple):
    """The prices of one model. `id` names their source; it is stored with each cost that was computed from them."""

    id: str
    rates: Mapping[str, Rate]

    def cost(self, tokens: Tokens) -> int | None:
        """Cost in 1e-12 dollars. None: something was counted that has no price."""
        total = self.rate("request", tokens.prompt) or 0 if "request" in self.rates else 0
        plain = tokens._replace(output=tokens.output - tokens.reasoning) if tokens.reasoning else tokens
        for name, count in zip(Tokens._fields, plain, strict=True):
            if count:
                rate = self.rates.get(name)
                found = rate if type(rate) is int else self.rate(name, tokens.prompt)
                if found is None:
                    return None
                total += count * found
        return total

    def cost_of_prompt(self, tokens: int) -> int:
        """Cost of a prompt in 1e-12 dollars, before anything of it was cached; 0 if it has no price."""
        rate = self.rate("input", tokens)
        if rate is None and tokens:
            return 0
        return tokens * (rate or 0) + (self.rate("request", tokens) or 0 if "request" in self.rates else 0)

    def rate(self, name: str, prompt: int = 0) -> int | None:
        """Price of one token of a class, in 1e-12 dollars, for a request with `prompt` tokens of input."""
        found: str | None = name
        while found is not None and found not in self.rates:
            found = _INSTEAD.get(found)
        if found is None:
            return None
        rate = self.rates[found]
        return rate if type(rate) is int else _at(rate, prompt)


class Prices:
    """own: the config's `[prices]`: a pattern of `provider/model`, and dollars a million, or the name of a provider in the
    table.
    """

    def __init__(self, own: Mapping[str, str | Mapping[str, float]] | None = None) -> None:
        self._own = own or {}
        self._found: dict[tuple[str, str, int], Price | None] = {}

    def price(self, provider: str, model: str, base_url: str, at: float) -> Price | None:
        """The price of a model at a time in Unix seconds. provider: its name in the configuration."""
        asked = (provider, model, int(at // _DAY))
        if asked not in self._found:
            if len(self._found) > 1000:
                self._found.clear()
            self._found[asked] = self._look_up(provider, model, base_url, datetime.fromtimestamp(at, UTC).date())
        return self._found[asked]

    def _look_up(self, provider: str, model: str, base_url: str, day: date) -> Price | None:
        for pattern, given in self._own.items():
            if fnmatchcase(f"{provider}/{model}", pattern):
                if isinstance(given, str):
                    return _of_table([given], model, day)
                rates = {name: in_e12(dollars) // _per(name) for name, dollars in given.items()}
                return Price(f"config:{pattern}", rates)
        return _of_table(_providers_at(base_url), model, day)


def table() -> Json:
    """The built-in table; it is read at the first use."""
    return _table()


@cache
def _table() -> Json:
    parsed: Json = orjson.loads(TABLE.read_bytes())
    return parsed


def age_in_days(today: date) -> int:
    """The age of the table."""
    return (today - date.fromisoformat(table()["made"])).days


def matches(text: str) -> Iterator[tuple[str, str, str, Mapping[str, Rate]]]:
    """(provider, model, since, rates) of all entries of the table whose name contains `text`."""
    for name, provider in table()["providers"].items():
        for model, _, prices in provider["models"]:
            if text.lower() in f"{name}/{model}".lower():
                for since, rates in prices:
                    yield name, model, since, rates


def _providers_at(base_url: str) -> list[str]:
    found = [name for name, one in table()["providers"].items() if re.match(one["url"], base_url)] if base_url else []
    return [*found, *(other for name in found for other in table()["providers"][name]["also"])]


def _of_table(providers: list[str], model: str, day: date) -> Price | None:
    model = model.lower().removeprefix("models/").rpartition("/models/")[2]
    dashed = _COMPACT_DATE.sub(r"-\1-\2-\3", model)
    for spelled in dict.fromkeys((model, dashed)):
        for name in providers:
            for id, match, prices in table()["providers"].get(name, {"models": ()})["models"]:
                if _fits(match, spelled):
                    return _dated(f"{name}/{id}", prices, day)
    return None


def _fits(match: list[Any], model: str) -> bool:
    sign, *rest = match
    if sign in "|&":
        return (any if sign == "|" else all)(_fits(one, model) for one in rest)
    return bool(_MATCHES[sign](rest[0], model))


def _dated(name: str, prices: list[Any], day: date) -> Price | None:
    """The newest price that is in force."""
    begun = [(since, rates) for since, rates in prices if since <= day.isoformat()]
    if not begun:
        return None
    since, rates = begun[-1]
    source = str(table()["source"]).partition(" (")[0].replace(" ", "-")
    return Price(f"{source}:{name}" + (f"@{since}" if since else ""), rates)


def _at(rate: Rate, prompt: int) -> int:
    """The rate of the step that the whole prompt reaches; it applies to all of its tokens."""
    if isinstance(rate, int):
        return rate
    base, *steps = rate
    reached = [price for above, price in steps if prompt > above]
    return int(reached[-1] if reached else base)


def _per(name: str) -> int:
    return 1 if name in ("calls", "request") else _PER_MILLION
