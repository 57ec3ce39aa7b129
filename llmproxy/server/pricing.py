"""The prices of the models of a gateway."""

from __future__ import annotations

from llmproxy.accounts.prices import Prices
from llmproxy.accounts.pricing import Place, Pricing
from llmproxy.core.adapter import InProcess
from llmproxy.routing.gateway import Gateway


def pricing_of(gateway: Gateway) -> Pricing:
    places = {
        name: Place(
            stack.adapter.account.base_url or stack.adapter.environment.base_url, isinstance(stack.adapter, InProcess)
        )
        for name, stack in gateway.stacks.items()
    }
    return Pricing(Prices(gateway.config.prices), places)
