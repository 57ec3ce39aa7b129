"""Budgets under everything that may happen, on the real tables: the invariants hold after each step.

spent + leased <= limit, whenever a lease is granted
held <= leased and not spent, of each process, but for what was billed beyond what was held
what was spent is the sum of what was billed, to the last 1e-12 dollar
overspent is at most the sum of what was billed beyond what was held
a quiet system holds nothing
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llmproxy.accounts.pot import Pot, slice_of
from llmproxy.store import spend
from llmproxy.store.connection import Connection
from llmproxy.store.spend import PotKey, Spent
from llmproxy.store.sqlite.database import connect
from tests.thorough import examples

KEY = PotKey("key:ann", "total", 0.0)
MONEY = st.integers(0, 300)


@dataclass(eq=False)
class Attempt:
    held: int
    settled: bool = False


@dataclass(eq=False)
class Process:
    """One gateway: its pot, its open attempts, and what it has not written yet."""

    name: str
    pot: Pot
    open: list[Attempt] = field(default_factory=list)
    unwritten: list[Spent] = field(default_factory=list)


class Budgets(RuleBasedStateMachine):
    @initialize(limit=st.integers(0, 2000), processes=st.integers(1, 3))
    def begin(self, limit: int, processes: int) -> None:
        self.db: Connection = connect(None)
        self.limit = limit
        self.number = 0
        self.billed = 0  # of all that was settled, or died
        self.over = 0  # billed beyond what was held
        self.processes = [self._process() for _ in range(processes)]

    def _process(self) -> Process:
        self.number += 1
        return Process(f"p{self.number}", Pot(KEY, float("inf"), self.limit))

    def _row(self) -> tuple[int, int]:
        return spend.spent(self.db, [KEY])[KEY]

    def _buy(self, one: Process, want: int) -> None:
        before = sum(self._row())
        one.pot.limit = self.limit
        one.pot.learn(spend.buy(self.db, KEY, one.name, want, self.limit))
        spent, leased = self._row()
        assert spent + leased <= max(self.limit, before)  # a lease is granted within the limit only

    def _hold(self, one: Process, amount: int) -> bool:
        if one.pot.free < amount:
            self._buy(one, amount - one.pot.free)
        if one.pot.free < amount:
            return False
        one.pot.hold(amount)
        return True

    @rule(which=st.integers(0, 2), amount=MONEY)
    def admit(self, which: int, amount: int) -> None:
        one = self.processes[which % len(self.processes)]
        if self._hold(one, amount):
            one.open.append(Attempt(amount))
            one.pot.open += 1

    @rule(which=st.integers(0, 2), more=MONEY)
    def grow(self, which: int, more: int) -> None:
        one = self.processes[which % len(self.processes)]
        if one.open and self._hold(one, more):
            one.open[-1].held += more

    @rule(which=st.integers(0, 2), part=st.sampled_from([0, 50, 100, 130]))
    def settle(self, which: int, part: int) -> None:
        """By usage, less or more than what was held; 0 is an attempt that was never sent."""
        one = self.processes[which % len(self.processes)]
        if one.open:
            self._settle(one, one.open.pop(), part)

    def _settle(self, one: Process, attempt: Attempt, part: int) -> None:
        cost = attempt.held * part // 100
        one.pot.settle(attempt.held, cost)
        one.pot.open -= 1
        one.unwritten.append(Spent(KEY, one.name, cost))
        self.billed += cost
        self.over += max(0, cost - attempt.held)

    @rule(which=st.integers(0, 2))
    def flush(self, which: int) -> None:
        one = self.processes[which % len(self.processes)]
        spend.settle(self.db, one.unwritten)
        one.unwritten = []

    @rule(which=st.integers(0, 2))
    def give_back(self, which: int) -> None:
        one = self.processes[which % len(self.processes)]
        self.flush(which)
        if amount := one.pot.give_back():
            spend.give_back(self.db, KEY, one.name, amount)

    @rule(limit=st.integers(0, 3000))
    def change_the_limit(self, limit: int) -> None:
        self.limit = limit

    @rule(which=st.integers(0, 2))
    def kill(self, which: int) -> None:
        """kill -9: what was not written is gone, and what is leased counts as spent until the next one ends the lease."""
        at = which % len(self.processes)
        one = self.processes[at]
        self.billed -= sum(lost.cost_e12 for lost in one.unwritten)  # the rows of the last moment, found by `reconcile`
        rows = [(float(number), "ann", attempt.held) for number, attempt in enumerate(one.open, 1)]
        for opened_at, owner, held in rows:
            self._open_row(one.name, opened_at, owner, held)
            self.billed += held
        spend.settle_dead(self.db, one.name)
        self.db.execute("UPDATE ledger SET state = 'lost' WHERE process = ?", (one.name,))
        spend.settle_dead(self.db, one.name)  # again changes nothing
        self.processes[at] = self._process()

    def _open_row(self, process: str, opened_at: float, owner: str, held: int) -> None:
        values: Any = (opened_at, f"{process}-{opened_at}", process, owner)
        self.db.execute(
            "INSERT INTO ledger (opened_at, id, process, owner, face, state, attempts, usage_source) "
            "VALUES (?, ?, ?, ?, 'chat', 'open', 1, 'none')",
            values,
        )
        self.db.execute(
            "INSERT INTO attempts (opened_at, id, number, owner, grp, provider, model, state, sent, usage_source, cost_e12) "
            "VALUES (?, ?, 1, ?, '', 'p', 'm', 'open', 1, 'none', ?)",
            (opened_at, f"{process}-{opened_at}", owner, held),
        )

    @invariant()
    def what_is_held_is_leased(self) -> None:
        for one in getattr(self, "processes", ()):
            assert one.pot.held == sum(attempt.held for attempt in one.open)
            assert one.pot.held <= one.pot.granted + self.over

    @invariant()
    def the_tables_are_the_sum_of_what_was_billed(self) -> None:
        if not hasattr(self, "processes"):
            return
        spent, leased = self._row()
        unwritten = sum(lost.cost_e12 for one in self.processes for lost in one.unwritten)
        assert spent + unwritten == self.billed
        assert leased - unwritten == sum(one.pot.granted for one in self.processes)

    @precondition(lambda self: hasattr(self, "processes"))
    @rule()
    def rest(self) -> None:
        """Everything ends: nothing is held, nothing is leased but debts, and no more was spent than was billed beyond holds."""
        for which, one in enumerate(self.processes):
            while one.open:
                self._settle(one, one.open.pop(), 100)
            self.give_back(which)
            assert one.pot.held == 0
        _, leased = self._row()
        assert leased <= 0


BudgetsHold = Budgets.TestCase
BudgetsHold.settings = examples(150, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow])


def test_a_slice_is_a_fair_part_and_never_too_small_or_too_large() -> None:
    assert slice_of(5 * 10**12, 200, 10**7, 256) == 256
    assert slice_of(10**10, 200, 10**7, 256) == 16
    assert slice_of(4 * 10**11, 100, 10**7, 256) == 100
    assert slice_of(0, 0, 0, 256) == 256
