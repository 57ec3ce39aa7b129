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

_SWEEP = 0.05  # seconds after which a running request is recorded as open


@dataclass(slots=True)
class Observer:
    """`store` opens the ledger at its first use; None stores nothing."""

    store: Callable[[], Store] | None = None
    metrics: Metrics = field(default_factory=Metrics)
    accounts: Accounts | None = None
    registry: RequestRegistry | None = None
    refusals: Refusals = field(default_factory=Refusals)
    telemetry: Telemetry | None = None
    _sweep: asyncio.TimerHandle | None = None
    _noted: set[str] = field(default_factory=set)

    def started(self) -> None:
        """Records a request as open if it still runs after a moment; a short request needs one row only."""
        if self.store is not None and self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(_SWEEP, attempt, self._note_open, "open_requests")

    def ended(self, running: Running) -> None:
        """Writes the request's record once, for ledger, log and metrics."""
        accounts = self.accounts
        spent: tuple[Spent, ...] = ()
        written = record(running, accounts.pricing if accounts is not None else None)
        running.cost_e12 = written.cost_e12
        if running.charge is not None and accounts is not None:
            spent = accounts.ended(running.charge, written)
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
        """Writes the record again: other requests have continued its answer after its client left."""
        if running.ended is None:
            return  # it is written when it ends
        accounts = self.accounts
        written = record(running, accounts.pricing if accounts is not None else None)
        running.cost_e12 = written.cost_e12
        spent = accounts.ended(charge, written) if charge is not None and accounts is not None else ()
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
