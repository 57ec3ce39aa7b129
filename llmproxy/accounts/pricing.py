"""The cost of an attempt: the provider's own number, or else tokens times price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from llmproxy.core.trace import Attempt
from llmproxy.core.usage import in_e12

from .prices import Price, Prices

FREE = Price("in-process", {"input": 0, "output": 0, "calls": 0})


class Place(NamedTuple):
    """The address of a provider. free: it runs in this process and costs nothing."""

    base_url: str
    free: bool = False


class Pricing:
    def __init__(self, prices: Prices, places: Mapping[str, Place]) -> None:
        self._prices = prices
        self._places = places

    def price(self, provider: str, model: str, at: float) -> Price | None:
        place = self._places.get(provider)
        if place is None:
            return None
        return self._prices.price(provider, model, place.base_url, at) or (FREE if place.free else None)

    def cost(self, one: Attempt, at: float) -> tuple[int | None, str | None]:
        """The cost of an attempt in 1e-12 dollars, None if it is unknown, and the ID of its price. at: Unix seconds."""
        if one.cost_e12 is not None:  # a budget was asked
            return one.cost_e12, one.price_id
        if one.cost is not None:
            return in_e12(one.cost), "provider"
        price = self.price(one.provider, one.model, at) if one.tokens else None
        cost = price.cost(one.tokens) if price is not None and one.tokens is not None else None
        return (None, one.price_id) if price is None or cost is None else (cost, price.id)
