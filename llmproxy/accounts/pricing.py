"""Sets the cost of a request's record: the provider's own number first, else tokens times price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from llmproxy.core.record import AttemptRecord, RequestRecord
from llmproxy.core.usage import Tokens, in_e12

from .prices import Price, Prices

FREE = Price("in-process", {"input": 0, "output": 0, "calls": 0})


class Place(NamedTuple):
    """Where a provider is. free: it lives in this process and bills nobody."""

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

    def priced(self, record: RequestRecord) -> RequestRecord:
        """The record with its costs; one that is unknown makes the sum unknown."""
        if not record.tries:
            return record
        tries = tuple([self._attempt(one, record.opened_at) for one in record.tries])
        known = [one.cost_e12 for one in tries if one.cost_e12 is not None]
        unpriced = len(known) < len(tries) and any(map(is_unpriced, tries))
        total = None if not known or unpriced else sum(known)
        return record._replace(tries=tries, cost_e12=total)

    def _attempt(self, one: AttemptRecord, at: float) -> AttemptRecord:
        if one.cost_e12 is not None:  # a budget was asked
            return one
        if one.said_cost is not None:
            return one._replace(cost_e12=in_e12(one.said_cost), price_id="provider")
        price = self.price(one.provider, one.model, at) if one.tokens else None
        cost = price.cost(one.tokens or Tokens()) if price is not None else None
        return one if price is None or cost is None else one._replace(cost_e12=cost, price_id=price.id)


def is_unpriced(attempt: AttemptRecord) -> bool:
    """Whether something was counted that has no price."""
    return attempt.cost_e12 is None and attempt.tokens is not None and any(attempt.tokens)
