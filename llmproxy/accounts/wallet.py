"""The money that one request may spend. It is asked before each attempt."""

from __future__ import annotations

from dataclasses import dataclass

from llmproxy.core.chat import Chat
from llmproxy.core.errors import BadRequest
from llmproxy.core.measure import output_limit
from llmproxy.core.metering import Meter
from llmproxy.core.trace import Attempt

from .holding import Holder
from .meter import AttemptMeter
from .pricing import Pricing


@dataclass(slots=True, eq=False, kw_only=True)
class Wallet(Holder):
    """Implements core.metering.Purse."""

    pricing: Pricing

    async def begin(self, chat: Chat, provider: str, attempt: Attempt, *, streams: bool) -> tuple[Meter, Chat]:
        if not self.bank.knows:
            await self._remember(attempt)
        price = self.pricing.price(provider, chat.model, self.bank.clock())
        if price is None:
            raise BadRequest(
                f"No price is known for {provider}/{chat.model}, so a key with a budget cannot use it. "
                "[prices] in the configuration can say one.",
                status=403,
                param="model",
                code="unpriced_model",
            )
        pots = [self.bank.pot(account, budget) for account, budget in self.asked()]
        meter = AttemptMeter(self, chat, provider, attempt, price, pots)
        wanted = output_limit(chat)
        try:
            await meter.admit(wanted if streams else None)
            return meter, chat if streams else await meter.clamped(chat, wanted)
        except BaseException:
            meter.settle(attempt)
            raise

    async def _remember(self, attempt: Attempt) -> None:
        """Reads the stored bytes per token. An attempt that is cancelled meanwhile was not sent and costs nothing."""
        try:
            await self.bank.remember()
        except BaseException:
            attempt.cost_e12 = 0
            raise
