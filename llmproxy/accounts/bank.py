"""All budgets of this process: buys leases from the store, and returns them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from llmproxy.config import Budget, Budgets, Degraded
from llmproxy.core.errors import GatewayError, StoreError
from llmproxy.core.ids import fresh_id
from llmproxy.core.usage import DOLLAR
from llmproxy.observe.log import log
from llmproxy.store import spend, token_ratios
from llmproxy.store.spend import Grant, PotKey

from .pot import Change, Pot
from .ratios import Ratios
from .windows import span

if TYPE_CHECKING:
    from llmproxy.store import Store

LOOK = 0.25  # seconds between two checks for money that another process may have returned
REMEMBER_SECONDS = 10.0  # until bytes per token are read again after a failure
NOTE_SECONDS = 10.0  # between two writes of the bytes per token that were learned

_key = lru_cache(1024)(PotKey)  # each attempt asks for the same few


class BudgetUnavailable(GatewayError):
    """The database of budgets is away, and all leased money is held or spent."""

    status = 503
    code = "budget_unavailable"

    def __init__(self) -> None:
        super().__init__(
            "The budget of this key cannot be asked just now. Try again soon.", headers={"Retry-After": "1"}
        )


@dataclass(slots=True)
class Bank:
    """All budgets of this process. workers: number of processes that use them, by the configuration."""

    store: Callable[[], Store]
    settings: Budgets = field(default_factory=Budgets)
    workers: int = 1
    pots: dict[PotKey, Pot] = field(default_factory=dict)
    ratios: Ratios = field(default_factory=Ratios)
    refused: int = 0
    ended: int = 0
    knows: bool = False  # whether the stored bytes per token were read
    clock: Callable[[], float] = time.time
    degraded: Degraded = field(default_factory=Degraded)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _awaited: bool = False  # somebody waits for it
    _buying: dict[PotKey, asyncio.Lock] = field(default_factory=dict)
    _warned: set[PotKey] = field(default_factory=set)
    _looked: dict[PotKey, float] = field(default_factory=dict)
    _remembering: asyncio.Lock = field(default_factory=asyncio.Lock)
    _remember_at: float = 0.0
    _note_at: float = 0.0

    @property
    def shares(self) -> int:
        """Number of processes that use the budgets."""
        return max(self.workers, self.store().replicas)

    def pot(self, account: str, budget: Budget) -> Pot:
        """The pot of the current window, with the current limit."""
        key, ends = self.key(account, budget)
        pot, process = self.pots.get(key), self.store().process
        if pot is None or pot.process != process:  # taken for dead, this process has no leases of before any more
            pot = self.pots[key] = Pot(key, ends, budget.limit_e12, process)
        pot.limit = budget.limit_e12
        return pot

    def key(self, account: str, budget: Budget) -> tuple[PotKey, float]:
        """The key of the current window, and the end of that window."""
        window = span(budget.window, self.clock(), self.settings.timezone)
        return _key(account, budget.window, window.start), window.end

    async def buy(self, pot: Pot, need: int) -> None:
        """Leases the money that the pot lacks for `need`; the whole remainder if this is the only process.

        Raises BudgetUnavailable if the database is away.
        """
        if pot.process != self.store().process:
            raise BudgetUnavailable
        lock = self._buying.setdefault(pot.key, asyncio.Lock())
        async with lock:
            now = self.clock()
            if pot.free >= need or (pot.to_lease == 0 and now - self._looked.get(pot.key, 0.0) < LOOK):
                return
            self._looked[pot.key] = now
            try:
                await self._ascertain(pot)
                await asyncio.shield(self._bought(pot, need - pot.free))
            except StoreError as error:
                raise BudgetUnavailable from error

    def _bought(self, pot: Pot, lacking: int) -> asyncio.Future[Grant]:
        want = 2**62 if self.shares == 1 else max(lacking, pot.limit // (8 * self.shares))
        change = Change(fresh_id())
        bought = self.store().write(spend.buy, pot.key, pot.process, want, pot.limit, change.id)
        pot.change = change
        bought.add_done_callback(partial(_learn, pot, change))  # also where who asked has left meanwhile
        return bought

    async def _ascertain(self, pot: Pot) -> None:
        """Reads whether a change of the lease was written that was not acknowledged. Raises StoreError."""
        change = pot.change
        if change is None:
            return
        added = await self.store().write(spend.came_about, pot.key, pot.process, change.id)
        if pot.change is not change:  # it was acknowledged meanwhile
            return
        pot.change = None
        if change.given_back and added is None:
            pot.regain(change.given_back)
        elif not change.given_back and added:
            pot.regain(added)

    def reaches(self, pot: Pot) -> bool:
        """Whether leased money may still be spent: no other process considers this one dead, or will soon."""
        store = self.store()
        return pot.process == store.process and time.monotonic() < store.lives_until

    async def shrink(self, pot: Pot) -> None:
        """Returns money that a lowered limit no longer covers."""
        excess = min(pot.free, pot.spent + pot.leased - pot.limit)
        if excess > 0:
            pot.regain(-excess)
            await self._back(pot, excess)

    async def tidy(self) -> None:
        """Returns the money of windows that are over, and of unused pots if there are other processes."""
        if time.monotonic() >= self._note_at:
            self._note_at = time.monotonic() + NOTE_SECONDS
            await self.note_ratios()
        now = self.clock()
        for pot in [one for one in self.pots.values() if self.reaches(one)]:
            over = pot.ends <= now
            if pot.change is not None:
                async with self._buying.setdefault(pot.key, asyncio.Lock()):
                    await self._ascertain(pot)
            if pot.open == 0 and (over or self.shares > 1) and (amount := pot.give_back()):
                await self._back(pot, amount)
            if over and pot.open == 0 and pot.change is None:
                self.pots.pop(pot.key, None)
                self._buying.pop(pot.key, None)
                self._looked.pop(pot.key, None)
                self._warned.discard(pot.key)

    async def close(self) -> None:
        """Returns all free money, and stores the bytes per token that were learned."""
        await self.note_ratios()
        for pot in self.pots.values():
            if self.reaches(pot) and (amount := pot.give_back()):
                await self._back(pot, amount)

    async def _back(self, pot: Pot, amount: int) -> None:
        """Returns money that was removed from a pot. If that fails, the money is in the pot again.

        If it is not known whether it failed, the database is asked later.
        """
        store = self.store()
        store.ledger.flush()
        async with self._buying.setdefault(pot.key, asyncio.Lock()):
            try:
                await self._ascertain(pot)
                change = Change(fresh_id(), amount)
                gone = store.write(spend.give_back, pot.key, pot.process, amount, change.id)
            except StoreError:
                pot.regain(amount)
                return
            pot.change = change
            gone.add_done_callback(partial(_learn, pot, change))
            with suppress(StoreError):
                await asyncio.shield(gone)

    async def remember(self) -> None:
        """Reads the stored bytes per token once. While the store is away, all models count as new."""
        async with self._remembering:
            if self.knows or time.monotonic() < self._remember_at:
                return
            try:
                self.ratios.remember(await self.store().read_slowly(token_ratios.known))
                self.knows = True
            except StoreError:
                self._remember_at = time.monotonic() + REMEMBER_SECONDS

    async def note_ratios(self) -> None:
        """Stores the bytes per token that were learned since. Failures are ignored, because these are estimates."""
        if fresh := self.ratios.fresh:
            self.ratios.fresh = Counter()
            with suppress(StoreError):
                await self.store().write(token_ratios.add, fresh, self.clock())

    def moved(self) -> None:
        """Money was settled or given back: those who wait for some look again."""
        if self._awaited:
            self._awaited = False
            self._changed.set()
            self._changed = asyncio.Event()

    async def change(self, seconds: float) -> None:
        """Waits until money was settled or given back, at most so many seconds."""
        self._awaited = True
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def warn(self, pot: Pot) -> bool:
        """Logs that a budget is used up, once for each window. Returns whether this was the first time."""
        if pot.key in self._warned:
            return False
        self._warned.add(pot.key)
        log.warning("budget_used_up", account=pot.key.account, window=pot.key.window, limit=pot.limit / DOLLAR)
        return True


def _learn(pot: Pot, change: Change, done: asyncio.Future[Grant] | asyncio.Future[None]) -> None:
    """Applies the result of a change of the lease. If the result is unknown, it is read later."""
    error = None if done.cancelled() else done.exception()
    if done.cancelled() or getattr(error, "unsure", error is not None and not isinstance(error, StoreError)):
        return
    if pot.change is change:
        pot.change = None
    if error is not None:
        pot.regain(change.given_back)
    elif (grant := done.result()) is not None:
        pot.learn(grant)
