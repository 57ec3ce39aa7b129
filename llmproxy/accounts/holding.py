"""Money that the attempts of one request hold, in every budget of its key and group; the error if there is none."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from llmproxy.config import Budget
from llmproxy.core.clock import loop_time
from llmproxy.core.errors import GatewayError
from llmproxy.core.usage import DOLLAR
from llmproxy.store.spend import Spent

from .bank import LOOK, Bank, BudgetUnavailable
from .pot import Pot

PAUSE_LOOK = 1.0  # seconds between two looks at whether a limit was raised

Asked = Callable[[], Iterable[tuple[str, Budget]]]  # (account, budget), as configured now


@dataclass(slots=True, eq=False)
class Holder:
    """The holds of one request. Money is in 1e-12 dollars.

    headers: of its answer. deadline: in the loop's time. It does not know the request's trace, which knows it: a cycle would
    be left to the garbage collector, of every request.

    spent: what its attempts have cost its budgets. warned: called with a budget that is used up. unleased: it holds money that
    no lease covers, because the database was away; its cost is then taken out of no lease.
    """

    bank: Bank
    asked: Asked
    headers: dict[str, str]
    deadline: float | None
    warned: Callable[[Pot], None] = lambda pot: None
    spent: list[Spent] = field(default_factory=list)
    unleased: bool = False

    def hold_now(self, pots: list[Pot], amount: int) -> bool:
        """Holds the amount in every pot if valid leases cover it. False: nothing was held."""
        if not self._covers(pots, amount):
            return False
        for pot in pots:
            pot.held += amount
        return True

    async def hold(self, pots: list[Pot], least: int, most: int, seconds: float, *, first: bool) -> int | None:
        """Holds up to `most` in every pot, at least `least`, if leases do not cover `most`. Waits up to `seconds` if only
        holds of others prevent that.

        Returns the amount, or None if there is not enough money. first: nothing is held yet, so the pots may be replaced by
        those of a new window. Raises BudgetUnavailable.
        """
        ends = loop_time() + seconds
        while True:
            soft = self.bank.settings.mode == "soft"
            away = await self.bought(pots, least, most)
            if away is not None and not soft:
                return self._unleased(pots, most, away)
            free = min([pot.free for pot in pots], default=most)
            amount = most if soft else min(most, free)
            needed = max(amount, least)
            lacking = [pot for pot in pots if pot.free < needed] if free < needed else []
            if not lacking or soft:
                for pot in pots:
                    pot.hold(amount)
                for pot in lacking:
                    self._over(pot)
                return amount
            if self.bank.settings.mode == "pause":
                if not await self._paused():
                    return None
                now = [self.bank.pot(account, budget) for account, budget in self.asked()]
                if first:
                    pots[:] = now
                continue
            left = ends - loop_time()
            if left <= 0 or any(pot.limit - pot.spent < least for pot in lacking):
                return None
            await self.bank.change(min(left, LOOK))

    def _covers(self, pots: list[Pot], amount: int) -> bool:
        """Whether leases that are valid cover the amount in every pot: then the database is not asked."""
        store = self.bank.store()
        if store.fault or time.monotonic() >= store.lives_until:
            return False
        process = store.process
        return not [pot for pot in pots if pot.granted - pot.held < amount or pot.process != process]

    async def bought(self, pots: list[Pot], least: int, most: int) -> BudgetUnavailable | None:
        """Leases `most` in every pot. Returns an error if a pot has less than `least`, or if its lease is not valid."""
        if self._covers(pots, max(least, most)):
            return None
        away = None
        fault = bool(self.bank.store().fault)
        if fault and self.bank.degraded.budgets == "allow":
            return BudgetUnavailable()  # do not wait for a database that is known to be unreachable
        for pot in pots:
            if pot.free < (least if fault else most):
                try:
                    await self.bank.buy(pot, most)
                except BudgetUnavailable as error:
                    away = error
        short = False
        for pot in pots:
            if not self.bank.reaches(pot):
                return away or BudgetUnavailable()
            short = short or pot.free < least
        return away if short else None

    def _unleased(self, pots: list[Pot], amount: int, away: BudgetUnavailable) -> int:
        """Holds money that no lease covers, if the configuration allows it; otherwise raises BudgetUnavailable."""
        if self.bank.degraded.budgets != "allow":
            raise away
        self.unleased = True
        for pot in pots:
            pot.hold(amount)
        return amount

    def _over(self, pot: Pot) -> None:
        self.headers["X-LLMProxy-Budget"] = f"used up: {pot.limit / DOLLAR:g}/{pot.key.window}"
        if self.bank.warn(pot):
            self.warned(pot)

    async def _paused(self) -> bool:
        """Waits a moment for a higher limit or a new window. False: the request's deadline is over."""
        deadline = self.deadline
        if deadline is not None and loop_time() >= deadline:
            return False
        await asyncio.sleep(PAUSE_LOOK)
        return True

    def refusal(self, pots: list[Pot]) -> GatewayError:
        """The error 429, with the time of the next window."""
        short = min(pots, key=lambda pot: pot.left)
        self.bank.refused += 1
        if self.bank.warn(short):
            self.warned(short)
        name, of = short.key.account.partition(":")[2], short.key.account.partition(":")[0]
        headers = {"x-should-retry": "false"}
        if short.ends != math.inf:
            headers["Retry-After"] = str(max(1, math.ceil(short.ends - self.bank.clock())))
        window = "in total" if short.key.window == "total" else f"a {short.key.window}"
        return GatewayError(
            f"The budget of the {of} {name!r} ({short.limit / DOLLAR:g} dollars {window}) is used up.",
            status=429,
            type="insufficient_quota",
            code="insufficient_quota",
            headers=headers,
        )
