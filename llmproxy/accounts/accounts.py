"""Keys, groups, limits, budgets and prices of one gateway, as the server uses them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from llmproxy.config import Budget, Config, Degraded, Group, Key
from llmproxy.core.chat import Chat
from llmproxy.core.errors import GatewayError
from llmproxy.core.ids import fresh_id
from llmproxy.core.measure import BYTES_PER_TOKEN, IMAGE_TOKENS, measure_of
from llmproxy.core.record import RequestRecord
from llmproxy.store.spend import Spent

from .bank import Bank
from .keys import Configured, Keyring
from .limits import Live, Quota, shown
from .pot import Pot
from .pricing import Pricing
from .together import Together, ending, learn, taking, unit_of
from .wallet import Wallet

_FIRST_TOKENS = 256  # expected length of an answer, until its tokens are counted


@dataclass(slots=True)
class Charge:
    """What one admitted request uses of its key's and group's limits and budgets.

    tokens: the estimate at admission. together: counts it for all processes; member: its ID among the parallel requests.
    """

    lives: tuple[Live, ...]
    tokens: int
    wallet: Wallet | None = None
    together: Together | None = None
    member: str = ""
    _open: bool = True

    def end(self, now: float, tokens: int | None) -> tuple[Spent, ...]:
        """The request has ended: releases its place and corrects the estimate. Returns what was spent since the last call;
        further calls do nothing else. tokens: as they were counted."""
        if self._open:
            self._open = False
            more = (tokens or 0) - self.tokens
            for one in self.lives:
                one.parallel -= 1
                one.correct(now, more)
            if self.together is not None:
                self.together.add([step for one in self.lives for step in ending(one, more, self.member)])
        if self.wallet is None:
            return ()
        spent, self.wallet.spent = tuple(self.wallet.spent), []
        return spent


@dataclass(slots=True)
class Accounts:
    """now: the clock of limits. warned: called with a budget that is used up. together: counts the limits for several
    processes. requests_left: of a process that may answer only a fixed number of requests.
    """

    keys: Keyring
    pricing: Pricing
    bank: Bank
    groups: Mapping[str, Group] = field(default_factory=dict)
    now: Callable[[], float] = time.monotonic
    warned: Callable[[Pot], None] = lambda pot: None
    rate_refusals: int = 0
    together: Together | None = None
    degraded: Degraded = field(default_factory=Degraded)
    requests_left: int | None = None
    _lives: dict[str, Live] = field(default_factory=dict)
    _shares: int = 1
    _workers: int = 1
    _elsewhere: int = 0  # processes of other machines that share the limits

    def configure(self, config: Config, pricing: Pricing, written: Configured | None = None) -> None:
        """Applies a new configuration; what was counted stays. written: its keys, if their index exists already."""
        self.keys.configure(written or config.server.keys)
        self.pricing = pricing
        self.groups = config.groups
        self.bank.settings = config.budgets
        self.degraded = self.bank.degraded = config.degraded
        self._workers = config.server.workers
        self.share_with(self._elsewhere)

    def share_with(self, processes: int) -> None:
        """processes: number of processes on other machines that share the limits and budgets from now on."""
        self._elsewhere = processes
        self._shares = self.bank.workers = self._workers + processes

    def admit(self, key: Key, chat: Chat) -> Charge | None:
        """Counts the request. None: its key has no limits. Raises GatewayError (429)."""
        if self.requests_left is not None:
            self._count_down()
        group = self.group(key) if key.group else None
        if _is_free(key) and (group is None or _is_free(group)):
            return None
        lives, tokens = self._wanted(key, group, chat)
        if self.together is None:
            return self._admit_here(key, chat, lives, tokens)
        if not self.together.is_there:
            return self._admit_apart(key, chat, lives, tokens)
        charge = self._admit_here(key, chat, lives, tokens)
        charge.together, charge.member = self.together, fresh_id()
        self.together.add([step for one in lives for step in taking(one, tokens, charge.member)])
        return charge

    async def admit_together(self, key: Key, chat: Chat) -> Charge | None:
        """As `admit`, by the count of all processes. While that is away: by the share of this process."""
        together = self.together
        if together is None or not together.is_there:
            return self.admit(key, chat)
        if self.requests_left is not None:
            self._count_down()
        group = self.group(key)
        if _is_free(key) and (group is None or _is_free(group)):
            return None
        lives, tokens = self._wanted(key, group, chat)
        member = fresh_id()
        steps = [(live, step) for live in lives for step in taking(live, tokens, member)]
        taken = await together.take([step for _, step in steps]) if steps else None
        if taken is None and steps:
            return self._admit_apart(key, chat, lives, tokens)
        if taken is None:
            return self._admit_here(key, chat, lives, tokens)
        now = self.now()
        for live in lives:
            live.share = 1
            own = [(step, state) for (of, step), state in zip(steps, taken.states, strict=True) if of is live]
            learn(live, [step for step, _ in own], [state for _, state in own], now)
        if taken.refused is not None:
            self.rate_refusals += 1
            live, step = steps[taken.refused]
            raise live.refusal(unit_of(step), taken.wait, now, taken.states[taken.refused])
        for live in lives:
            live.parallel += 1
        chat.trace.headers.update(shown(lives, now))
        return Charge(lives, tokens, self.wallet(key, chat), together, member)

    def _wanted(self, key: Key, group: Group | None, chat: Chat) -> tuple[tuple[Live, ...], int]:
        """The accounts that have limits, and the estimated tokens of the request."""
        lives: tuple[Live, ...] = (self._live("key", key),) if _is_limited(key) else ()
        if group is not None and _is_limited(group):
            lives += (self._live("group", group),)
        tokens = self._estimate(chat) if key.tpm or (group is not None and group.tpm) else 0
        return lives, tokens

    def _admit_apart(self, key: Key, chat: Chat, lives: tuple[Live, ...], tokens: int) -> Charge:
        """Admits as the configuration says for the time in which the count of all processes is away. Raises GatewayError (429
        or 503)."""
        if self.degraded.rates == "refuse" and lives:
            self.rate_refusals += 1
            raise GatewayError(
                "The limits of this key cannot be counted now. Try again soon.",
                status=503,
                code="limits_unavailable",
                headers={"Retry-After": "1"},
            )
        return self._admit_here(key, chat, lives, tokens, limited=self.degraded.rates != "allow")

    def _admit_here(
        self, key: Key, chat: Chat, lives: tuple[Live, ...], tokens: int, *, limited: bool = True
    ) -> Charge:
        now = self.now()
        try:
            for one in lives if limited else ():
                one.check(now, tokens)
        except Exception:
            self.rate_refusals += 1
            raise
        for one in lives:
            one.take(now, tokens)
        chat.trace.headers.update(shown(lives, now))
        return Charge(lives, tokens, self.wallet(key, chat))

    def group(self, key: Key) -> Group | None:
        """The group of a key. Raises GatewayError (403) if it does not exist any more, because its limits are unknown."""
        if not key.group:
            return None
        group = self.groups.get(key.group) or self.keys.groups.get(key.group)
        if group is None:
            text = f"The group {key.group!r} of your key does not exist any more."
            raise GatewayError(text, status=403, type="invalid_request_error", code="group_not_found")
        return group

    def _count_down(self) -> None:
        left = self.requests_left or 0
        if left <= 0:
            self.rate_refusals += 1
            raise GatewayError(
                "The number of requests that this run may make is used up.",
                status=429,
                type="requests",
                code="rate_limit_exceeded",
                headers={"x-should-retry": "false"},
            )
        self.requests_left = left - 1

    def wallet(self, key: Key, chat: Chat) -> Wallet | None:
        """The money that a request of this key may spend. None: it has no budget."""
        group = self.group(key) if key.group else None
        if not key.budget and (group is None or not group.budget):
            return None

        def asked() -> list[tuple[str, Budget]]:
            return self.budgets(self.keys.named(key.name) or key)

        return Wallet(self.bank, asked, chat.trace.headers, chat.trace.deadline, self.warned, pricing=self.pricing)

    def budgets(self, key: Key) -> list[tuple[str, Budget]]:
        """(account, budget) of the key and of its group."""
        own = [(f"key:{key.name}", one) for one in key.budget]
        group = (self.groups.get(key.group) or self.keys.groups.get(key.group)) if key.group else None
        return own if group is None else own + self.group_budgets(group)

    def group_budgets(self, group: Group) -> list[tuple[str, Budget]]:
        """As `budgets`, of a group only."""
        return [(f"group:{group.name}", one) for one in group.budget]

    def ended(self, charge: Charge, record: RequestRecord) -> tuple[Spent, ...]:
        """What the request cost the budgets."""
        tokens = 0
        for one in record.tries:
            if one.tokens is not None:
                tokens += one.tokens.prompt + one.tokens.completion
        return charge.end(self.now(), tokens)

    def _live(self, kind: str, quota: Quota) -> Live:
        name = f"{kind}:{quota.name}"
        live = self._lives.get(name)
        if live is None:
            live = self._lives[name] = Live(quota, kind, self._shares)
        live.quota, live.share = quota, self._shares
        return live

    def _estimate(self, chat: Chat) -> int:
        there = measure_of(chat)
        return there.text_bytes // BYTES_PER_TOKEN + there.images * IMAGE_TOKENS + _FIRST_TOKENS


def _is_free(one: Key | Group) -> bool:
    return not (one.budget or _is_limited(one))


def _is_limited(one: Key | Group) -> bool:
    return not (one.rpm is None and one.tpm is None and one.max_parallel is None)
