"""Keys, groups, limits, budgets and prices of one gateway, as the server uses them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from llmproxy.config import Budget, Config, Group, Key
from llmproxy.core.chat import Chat
from llmproxy.core.errors import GatewayError
from llmproxy.core.ids import fresh_id
from llmproxy.core.measure import BYTES_PER_TOKEN, IMAGE_TOKENS, measure_of
from llmproxy.core.record import RequestRecord
from llmproxy.store.spend import Spent

from .keys import Configured, Keyring
from .limits import Live, Quota, shown
from .pot import Pot
from .pricing import Pricing
from .spending import Bank, Wallet
from .together import Together, ending, learn, taking, unit_of

_FIRST_TOKENS = 256  # of an answer, as long as nobody has counted it


@dataclass(slots=True)
class Charge:
    """What one admitted request takes of its account's limits and budgets."""

    lives: tuple[Live, ...]
    tokens: int  # as was thought at the beginning
    wallet: Wallet | None = None
    together: Together | None = None  # by whom it was counted
    member: str = ""  # by which it is counted among those at once
    _open: bool = True

    def end(self, now: float, tokens: int | None) -> tuple[Spent, ...]:
        """The request has ended: gives back its place, and corrects what was thought. Once; again it only gives what was
        spent since."""
        if self._open:
            self._open = False
            for one in self.lives:
                one.parallel -= 1
                one.correct(now, (tokens or 0) - self.tokens)
            if self.together is not None:
                more = (tokens or 0) - self.tokens
                self.together.add([step for one in self.lives for step in ending(one, more, self.member)])
        if self.wallet is None:
            return ()
        spent, self.wallet.spent = tuple(self.wallet.spent), []
        return spent


@dataclass(slots=True)
class Accounts:
    """now: the clock of limits. warned: told of a budget that is used up."""

    keys: Keyring
    pricing: Pricing
    bank: Bank
    groups: Mapping[str, Group] = field(default_factory=dict)
    now: Callable[[], float] = time.monotonic
    warned: Callable[[Pot], None] = lambda pot: None
    rate_refusals: int = 0
    together: Together | None = None  # counts the limits for several processes
    requests_left: int | None = None  # of this process, where it may answer only so many
    _lives: dict[str, Live] = field(default_factory=dict)
    _shares: int = 1
    _workers: int = 1
    _elsewhere: int = 0  # processes of other machines that share the limits

    def configure(self, config: Config, pricing: Pricing, written: Configured | None = None) -> None:
        """What a new configuration says; what was counted stays. written: its keys, if their index is made already."""
        self.keys.configure(written or config.server.keys)
        self.pricing = pricing
        self.groups = config.groups
        self.bank.settings = config.budgets
        self._workers = config.server.workers
        self.share_with(self._elsewhere)

    def share_with(self, processes: int) -> None:
        """How many processes of other machines share the limits and budgets from now on."""
        self._elsewhere = processes
        self._shares = self.bank.workers = self._workers + processes

    def admit(self, key: Key, chat: Chat) -> Charge | None:
        """Takes the request's place. None where its key has no limits. Raises GatewayError (429)."""
        if self.requests_left is not None:
            self._count_down()
        group = self.group(key)
        if _is_free(key) and (group is None or _is_free(group)):
            return None
        lives, tokens = self._wanted(key, group, chat)
        charge = self._admit_here(key, chat, lives, tokens)
        if self.together is not None and self.together.is_there:
            charge.together, charge.member = self.together, fresh_id()
            self.together.add([step for one in lives for step in taking(one, tokens, charge.member)])
        return charge

    async def admit_together(self, key: Key, chat: Chat) -> Charge | None:
        """As `admit`, by the count of all processes; by this one's share while there is none."""
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
        """The accounts that have limits, and how many tokens the request is thought to use."""
        lives = tuple([one for one in self._live(key, group) if one.limited])
        return lives, self._thought(chat) if any(one.quota.tpm for one in lives) else 0

    def _admit_here(self, key: Key, chat: Chat, lives: tuple[Live, ...], tokens: int) -> Charge:
        now = self.now()
        try:
            for one in lives:
                one.check(now, tokens)
        except Exception:
            self.rate_refusals += 1
            raise
        for one in lives:
            one.take(now, tokens)
        chat.trace.headers.update(shown(lives, now))
        return Charge(lives, tokens, self.wallet(key, chat))

    def group(self, key: Key) -> Group | None:
        """Of a key, as it is now. Raises GatewayError (403) where there is none any more: its limits are not known."""
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
        """What its requests may spend; None where that has no limit."""
        group = self.group(key)
        if not key.budget and (group is None or not group.budget):
            return None

        def asked() -> Iterator[tuple[str, Budget]]:
            return self.budgets(self.keys.named(key.name) or key)

        return Wallet(self.bank, self.pricing, asked, chat.trace, self.warned)

    def budgets(self, key: Key) -> Iterator[tuple[str, Budget]]:
        """Of the key and of its group, each with its account."""
        yield from ((f"key:{key.name}", one) for one in key.budget)
        if (group := self.groups.get(key.group) or self.keys.groups.get(key.group)) is not None:
            yield from self.group_budgets(group)

    def group_budgets(self, group: Group) -> Iterator[tuple[str, Budget]]:
        """As `budgets`, of a group alone."""
        yield from ((f"group:{group.name}", one) for one in group.budget)

    def ended(self, charge: Charge | None, record: RequestRecord) -> tuple[Spent, ...]:
        """What the request cost the budgets."""
        if charge is None:
            return ()
        counted = [one.tokens for one in record.tries if one.tokens is not None]
        return charge.end(self.now(), sum([one.prompt + one.completion for one in counted]))

    def _live(self, key: Key, group: Group | None) -> Iterator[Live]:
        yield self._one("key", key)
        if group is not None:
            yield self._one("group", group)

    def _one(self, kind: str, quota: Quota) -> Live:
        name = f"{kind}:{quota.name}"
        live = self._lives.get(name)
        if live is None:
            live = self._lives[name] = Live(quota, kind, self._shares)
        live.quota, live.share = quota, self._shares
        return live

    def _thought(self, chat: Chat) -> int:
        there = measure_of(chat)
        return there.text_bytes // BYTES_PER_TOKEN + there.images * IMAGE_TOKENS + _FIRST_TOKENS


def _is_free(one: Key | Group) -> bool:
    return one.rpm is None and one.tpm is None and one.max_parallel is None and not one.budget
