"""Budgets while requests run: leases bought from the store, held by attempts slice by slice, settled by what was billed."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from llmproxy.config import Budget, Budgets
from llmproxy.core.adapter import Translator
from llmproxy.core.chat import Chat
from llmproxy.core.clock import loop_time
from llmproxy.core.errors import BadRequest, Cancelled, GatewayError, StoreError
from llmproxy.core.measure import IMAGE_TOKENS, OUTPUT_LIMITS, answer_settings, measure_of, output_limit
from llmproxy.core.metering import Meter
from llmproxy.core.trace import Attempt, Trace
from llmproxy.core.usage import DOLLAR, Tokens, in_e12
from llmproxy.observe.log import log
from llmproxy.store import spend
from llmproxy.store.spend import Grant, PotKey, Spent

from .pot import LEAST, Pot, slice_of
from .prices import Price
from .pricing import Pricing
from .ratios import Ratios
from .windows import span

if TYPE_CHECKING:
    from llmproxy.store import Store

ADMISSION_WAIT = 2.0  # seconds for money that others only hold
GROW_WAIT = 0.02  # the provider goes on meanwhile, and bills it
SHARED_GROW_WAIT = 1.0  # where another process may give back
LOOK = 0.25  # seconds between two looks for money that another process may have given back
PAUSE_LOOK = 1.0  # seconds between two looks at whether a limit was raised

Asked = Callable[[], Iterable[tuple[str, Budget]]]  # (account, budget) as they are now


class BudgetUnavailable(GatewayError):
    """The database of budgets cannot be reached, and what was leased before is held or spent."""

    status = 503
    code = "budget_unavailable"

    def __init__(self) -> None:
        super().__init__(
            "The budget of this key cannot be asked just now. Try again soon.", headers={"Retry-After": "1"}
        )


@dataclass(slots=True)
class Bank:
    """All budgets of this process. workers: how many processes draw on them, as far as the configuration says."""

    store: Callable[[], Store]
    settings: Budgets = field(default_factory=Budgets)
    workers: int = 1
    pots: dict[PotKey, Pot] = field(default_factory=dict)
    ratios: Ratios = field(default_factory=Ratios)
    refused: int = 0
    ended: int = 0
    clock: Callable[[], float] = time.time
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _buying: dict[PotKey, asyncio.Lock] = field(default_factory=dict)
    _warned: set[PotKey] = field(default_factory=set)
    _looked: dict[PotKey, float] = field(default_factory=dict)

    @property
    def shares(self) -> int:
        """How many processes draw on the budgets."""
        return max(self.workers, self.store().replicas)

    def pot(self, account: str, budget: Budget) -> Pot:
        """Of the window of now, with the limit of now."""
        key, ends = self.key(account, budget)
        pot, process = self.pots.get(key), self.store().process
        if pot is None or pot.process != process:  # taken for dead, this process has no leases of before any more
            pot = self.pots[key] = Pot(key, ends, budget.limit_e12, process)
        pot.limit = budget.limit_e12
        return pot

    def key(self, account: str, budget: Budget) -> tuple[PotKey, float]:
        """Of the window of now, and when that ends."""
        window = span(budget.window, self.clock(), self.settings.timezone)
        return PotKey(account, budget.window, window.start), window.end

    async def buy(self, pot: Pot, need: int) -> None:
        """Leases what the pot lacks for `need`: the whole remainder where this is the only process.

        Raises BudgetUnavailable where the database cannot be asked.
        """
        if pot.process != self.store().process:
            raise BudgetUnavailable
        lock = self._buying.setdefault(pot.key, asyncio.Lock())
        async with lock:
            now = self.clock()
            if pot.free >= need or (pot.to_lease == 0 and now - self._looked.get(pot.key, 0.0) < LOOK):
                return
            self._looked[pot.key] = now
            lacking = need - pot.free
            want = 2**62 if self.shares == 1 else max(lacking, pot.limit // (8 * self.shares))
            store = self.store()
            bought = store.write(spend.buy, pot.key, pot.process, want, pot.limit)
            bought.add_done_callback(partial(_learn, pot))  # also where who asked has left meanwhile
            try:
                await asyncio.shield(bought)
            except StoreError as error:
                raise BudgetUnavailable from error

    def reaches(self, pot: Pot) -> bool:
        """Whether what is leased may still be spent: others have not taken this process for dead, nor will they yet."""
        store = self.store()
        return pot.process == store.process and time.monotonic() < store.lives_until

    async def shrink(self, pot: Pot) -> None:
        """Gives back what a limit that was lowered no longer covers."""
        excess = min(pot.free, pot.spent + pot.leased - pot.limit)
        if excess > 0:
            pot.granted -= excess
            pot.leased -= excess
            await self._back(pot, excess)

    async def tidy(self) -> None:
        """Gives back what windows that are over, or pots that nobody uses while others may, still have leased."""
        now = self.clock()
        for pot in [one for one in self.pots.values() if self.reaches(one)]:
            over = pot.ends <= now
            if pot.open == 0 and (over or self.shares > 1) and (amount := pot.give_back()):
                await self._back(pot, amount)
            if over and pot.open == 0:
                self.pots.pop(pot.key, None)
                self._buying.pop(pot.key, None)
                self._looked.pop(pot.key, None)
                self._warned.discard(pot.key)

    async def close(self) -> None:
        """All that is free, at a proper end."""
        for pot in self.pots.values():
            if self.reaches(pot) and (amount := pot.give_back()):
                await self._back(pot, amount)

    async def _back(self, pot: Pot, amount: int) -> None:
        """Gives back what was taken out of a pot. It is in the pot again where that failed for certain.

        Where the database does not say whether it did, the amount stays leased until this process ends.
        """
        store = self.store()
        store.ledger.flush()
        try:
            await store.write(spend.give_back, pot.key, pot.process, amount)
        except StoreError as error:
            if not error.unsure:
                pot.granted += amount
                pot.leased += amount

    def moved(self) -> None:
        """Something was settled or given back: those who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self, seconds: float) -> None:
        """Until something moved, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def warn(self, pot: Pot) -> bool:
        """Says that a budget is used up, once for each window. Whether this was the first time."""
        if pot.key in self._warned:
            return False
        self._warned.add(pot.key)
        log.warning("budget_used_up", account=pot.key.account, window=pot.key.window, limit=pot.limit / DOLLAR)
        return True


def _learn(pot: Pot, bought: asyncio.Future[Grant]) -> None:
    if not bought.cancelled() and bought.exception() is None:
        pot.learn(bought.result())


@dataclass(slots=True, eq=False)
class Wallet:
    """What one request may spend: a Purse. spent: what its attempts have cost its budgets."""

    bank: Bank
    pricing: Pricing
    asked: Asked
    trace: Trace
    warned: Callable[[Pot], None] = lambda pot: None
    spent: list[Spent] = field(default_factory=list)

    async def begin(self, chat: Chat, provider: str, attempt: Attempt, *, streams: bool) -> tuple[Meter, Chat]:
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

    async def hold(self, pots: list[Pot], least: int, most: int, seconds: float, *, first: bool) -> int | None:
        """Holds up to `most` in all of them, and waits for `least` where only other holds keep it away. None: no money.

        first: nothing is held yet, so that the pots may be those of another window than before.
        """
        ends = loop_time() + seconds
        while True:
            soft = self.bank.settings.mode == "soft"
            away = await self.bought(pots, least, most)
            if away is not None and not soft:
                raise away
            amount = most if soft else min([most, *[pot.free for pot in pots]])
            lacking = [pot for pot in pots if pot.free < max(amount, least)]
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

    async def bought(self, pots: list[Pot], least: int, most: int) -> BudgetUnavailable | None:
        """Leases so much in all of them. What went wrong where not even the least of it is there, and may be spent."""
        away = None
        fault = bool(self.bank.store().fault)
        for pot in pots:
            if pot.free < (least if fault else most):
                try:
                    await self.bank.buy(pot, most)
                except BudgetUnavailable as error:
                    away = error
        if not all(self.bank.reaches(pot) for pot in pots):
            return away or BudgetUnavailable()
        return away if any(pot.free < least for pot in pots) else None

    def _over(self, pot: Pot) -> None:
        self.trace.headers["X-LLMProxy-Budget"] = f"used up: {pot.limit / DOLLAR:g}/{pot.key.window}"
        if self.bank.warn(pot):
            self.warned(pot)

    async def _paused(self) -> bool:
        """A moment's wait for a raised limit or a new window. False: the request's own time is over."""
        deadline = self.trace.deadline
        if deadline is not None and loop_time() >= deadline:
            return False
        await asyncio.sleep(PAUSE_LOOK)
        return True

    def refusal(self, pots: list[Pot]) -> GatewayError:
        """429 with the time at which there is money again."""
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


class AttemptMeter:
    """The hold of one attempt, in every budget that it counts for."""

    __slots__ = (
        "_attempt", "_bytes", "_chat", "_held", "_input", "_model", "_open", "_pots", "_price", "_rate", "_ratio", "_settled",
        "_wallet", "ceiling",
    )  # fmt: skip

    def __init__(
        self, wallet: Wallet, chat: Chat, provider: str, attempt: Attempt, price: Price, pots: list[Pot]
    ) -> None:
        self._wallet = wallet
        self._chat = chat
        self._model = f"{provider}/{chat.model}"
        self._price = price
        self._pots = pots
        there = measure_of(chat)
        ratios = wallet.bank.ratios
        self._bytes = 0 if there.images else there.text_bytes
        tokens_in = (
            math.ceil(there.text_bytes / ratios.bytes_per_token("in", self._model)) + there.images * IMAGE_TOKENS
        )
        self._input = price.cost(Tokens(input=tokens_in)) or 0
        self._rate = price.rate("output", tokens_in) or 0
        self._ratio = ratios.bytes_per_token("out", self._model)
        self._held = 0
        self._open = False
        self._settled = False
        self._attempt = attempt
        self.ceiling = 0

    async def admit(self, wanted: int | None) -> None:
        """Holds the input and a first slice of output. Raises GatewayError."""
        for pot in self._pots:
            if pot.spent + pot.leased > pot.limit:
                await self._wallet.bank.shrink(pot)
        away = await self._wallet.bought(self._pots, self._input, self._input)
        if away is not None and self._wallet.bank.settings.mode != "soft":
            raise away
        tokens = 0 if self._chat.face == "embeddings" else min(part := self._slice(), wanted or part)
        least = self._input + min(tokens, LEAST) * self._rate
        if not await self._take(least, self._input + tokens * self._rate, ADMISSION_WAIT):
            raise self._wallet.refusal(self._pots)
        for pot in self._pots:
            pot.open += 1
        self._open = True
        self.ceiling = int(self._covered(tokens) * self._ratio)
        self._note()

    async def clamped(self, chat: Chat, wanted: int | None) -> Chat:
        """A question whose answer cannot be watched: for no more than there is money for, all of which is held."""
        names = OUTPUT_LIMITS.get(chat.face)
        if names is None or self._rate <= 0 or not self._pots:
            return chat
        fair = min(pot.free // max(1, pot.open) + self._held for pot in self._pots) - self._input
        fits = max(16, fair // self._rate)
        most = min(fits, wanted if wanted is not None else fits)
        await self._take(self._input, self._input + most * self._rate, 0.0)
        self._note()
        if wanted is not None and wanted <= fits:
            return chat
        name = next((one for one in names if answer_settings(chat).get(one) is not None), names[-1])
        self._wallet.trace.headers["X-LLMProxy-Clamped"] = f"{name}={most}"
        if chat.face == "gemini":
            return chat.saying(generationConfig={**answer_settings(chat), name: most})
        return chat.saying(**{name: most})

    async def grow(self, translator: Translator) -> None:
        if translator.done or getattr(translator, "grace", None) is not None:
            return  # the whole answer is here, and billed: ending it would save nothing
        usage = translator.usage
        counted = usage.tokens.completion if usage is not None else 0
        came = max(math.ceil(translator.produced / self._ratio), counted)
        tokens = came + self._slice()
        wait = GROW_WAIT if self._wallet.bank.shares == 1 else SHARED_GROW_WAIT
        try:
            enough = await self._take(self._input + came * self._rate, self._input + tokens * self._rate, wait)
        except BudgetUnavailable:
            self._wallet.bank.ended += 1
            raise Cancelled.because("budget_unavailable") from None
        if not enough:
            self._wallet.bank.ended += 1
            raise Cancelled.because("budget")
        self.ceiling = max(translator.produced, int(self._covered(tokens) * self._ratio))
        self._note()

    def _covered(self, tokens: int) -> int:
        """How many of so many tokens of output the hold is enough for."""
        return min(tokens, (self._held - self._input) // self._rate) if self._rate > 0 else tokens

    def _note(self) -> None:
        """Until it is settled an attempt is written down with what it holds."""
        self._attempt.cost_e12, self._attempt.price_id = self._held, "held"

    def settle(self, attempt: Attempt) -> None:
        if self._settled:
            return
        self._settled = True
        cost = self._cost(attempt)
        attempt.cost_e12, attempt.price_id = cost, "provider" if attempt.cost is not None else self._price.id
        for pot in self._pots:
            pot.settle(self._held, cost)
            pot.open -= self._open
            if cost:
                self._wallet.spent.append(Spent(pot.key, pot.process, cost))
        self._held = 0
        self._learn(attempt)
        self._wallet.bank.moved()

    def _cost(self, attempt: Attempt) -> int:
        if attempt.cost is not None:
            return in_e12(attempt.cost)
        cost = self._price.cost(attempt.tokens) if attempt.tokens is not None else 0
        if (
            cost is None
        ):  # something that has no price was counted, such as searches: all that is known of it is what was held
            return self._held
        return cost

    def _learn(self, attempt: Attempt) -> None:
        tokens = attempt.tokens
        if tokens is None or attempt.usage_source != "provider":
            return
        ratios = self._wallet.bank.ratios
        if self._bytes:
            ratios.learn("in", self._model, self._bytes, tokens.prompt)
        if attempt.state == "open":
            ratios.learn("out", self._model, attempt.produced, tokens.completion)

    def _slice(self) -> int:
        most = self._wallet.bank.settings.slice_tokens
        return min([most, *[slice_of(pot.unheld, pot.open, self._rate, most) for pot in self._pots]])

    async def _take(self, least: int, most: int, seconds: float) -> bool:
        """Raises the hold to `most`, or to what there is of it from `least` on."""
        if most <= self._held:
            return True
        more = max(0, least - self._held), most - self._held
        held = await self._wallet.hold(self._pots, *more, seconds, first=self._held == 0)
        if held is None:
            return False
        self._held += held
        return True
