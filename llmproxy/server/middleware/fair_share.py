"""Fairness under overload: the keys that hold or ask for most are refused first, the others are let through."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from llmproxy.core.clock import loop_time
from llmproxy.requests.registry import RequestRegistry

from .load_shedding import LATE, PLACES, SHARE, overloaded
from .shares import Places, RecentRequests

if TYPE_CHECKING:
    from .turns import Turns


class FairShare:
    """Decides which keys are refused under a shortage. Not used while there is only one."""

    def __init__(self, registry: RequestRegistry, turns: Turns) -> None:
        self._registry = registry
        self._turns = turns
        self._places = Places(self._counted)
        self._recent = RecentRequests()

    def refuse_heavy(self, owner: str, shortages: tuple[str, ...], inside: int) -> None:
        """Refuses a request whose key has its share already. Raises GatewayError: 503.

        If all places are taken, a waiting request of the key that has most of them is refused instead. While the event loop
        is late, the key of the request must also have asked for a share of the recent requests: a flooding key soon holds no
        places, because all its requests are refused.
        """
        now = loop_time()
        if LATE in shortages:
            self._recent.add(owner, now)
        below = self._places.is_below(owner, inside, now)
        if not below and not (shortages == (LATE,) and self._recent.is_below(owner)):
            raise overloaded(SHARE if shortages[0] == PLACES else shortages[0])
        if PLACES in shortages and not self._turns.refuse_newest_of_longest(self._places.held(owner)):
            raise overloaded(PLACES)
        self._places.add(owner)

    def _counted(self) -> Counter[str]:
        places = Counter(self._registry.owners())
        places.update(self._turns.counts())
        return places
