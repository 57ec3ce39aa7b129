"""Writes the record of each request to usage database, log and metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmproxy.accounts.accounts import Accounts, Charge
from llmproxy.core.record import RequestRecord
from llmproxy.observe.log import log
from llmproxy.observe.metrics import Metrics
from llmproxy.observe.periodic import attempt
from llmproxy.observe.refusals import Refusals
from llmproxy.observe.request_log import facts
from llmproxy.requests.record import record
from llmproxy.requests.registry import RequestRegistry
from llmproxy.requests.running import Running
from llmproxy.store.spend import Spent, settle

if TYPE_CHECKING:
    from llmproxy.store import Store

    from .telemetry import Telemetry

_SWEEP = 0.05  # seconds a request may run before it is noted down as open


@dataclass(slots=True)
class Observer:
    """`store` opens the ledger at its first use; None keeps none."""

    store: Callable[[], Store] | None = None
    metrics: Metrics = field(default_factory=Metrics)
    accounts: Accounts | None = None
    registry: RequestRegistry | None = None
    refusals: Refusals = field(default_factory=Refusals)
    telemetry: Telemetry | None = None
    _sweep: asyncio.TimerHandle | None = None
    _noted: set[str] = field(default_factory=set)

    def started(self) -> None:
        """Those that are still running in a moment are noted down as open; the quick ones cost one row."""
        if self.store is not None and self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(_SWEEP, attempt, self._note_open, "open_requests")

    def ended(self, running: Running) -> None:
        """Writes the request's record once, for all who read it."""
        written = record(running)
        spent: tuple[Spent, ...] = ()
        if self.accounts is not None:
            written = self.accounts.pricing.priced(written)
            running.cost_e12 = written.cost_e12
            spent = self.accounts.ended(running.charge, written)
            running.charge = None
        log.info("request", **facts(written))
        self.metrics.add(written)
        if self.telemetry is not None:
            self.telemetry.ended(running, written)
        self._noted.discard(running.id)
        self._keep(written, spent)

    def _keep(self, written: RequestRecord, spent: tuple[Spent, ...]) -> None:
        if self.store is not None:
            self.store().note(written, spent)
        elif spent and self.accounts is not None:
            self.accounts.bank.store().write(settle, spent)

    def amended(self, running: Running, charge: Charge | None) -> None:
        """Writes the record of a request again: what it had begun others have taken to its end after it had left."""
        if running.ended is None:
            return  # it is written when it ends
        written = record(running)
        spent: tuple[Spent, ...] = ()
        if self.accounts is not None:
            written = self.accounts.pricing.priced(written)
            running.cost_e12 = written.cost_e12
            spent = self.accounts.ended(charge, written)
        self._keep(written, spent)

    def _note_open(self) -> None:
        self._sweep = None
        if self.registry is None:
            return
        now = time.monotonic()
        fresh = [one for one in self.registry if one.id not in self._noted]
        old = [one for one in fresh if now - one.started >= _SWEEP / 2]
        self._noted.update(one.id for one in old)
        if self.store is not None:
            store = self.store()
            for one in old:
                store.note(record(one))
        if len(old) < len(fresh):
            self.started()
