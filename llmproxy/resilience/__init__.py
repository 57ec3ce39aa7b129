"""Wrappers of openers against failures of providers: retry, failover, hedging, queue, circuit breaker.

Nothing here changes an answer that has begun: only the opening is retried, which ends with the first content chunk.
"""

from .breaker import BreakerOpener, Breakers
from .concurrency import ConcurrencyOpener, Places
from .failover import FailoverOpener
from .retry import RetryOpener
from .retry_budget import RetryBudget

__all__ = [
    "BreakerOpener",
    "Breakers",
    "ConcurrencyOpener",
    "FailoverOpener",
    "Places",
    "RetryBudget",
    "RetryOpener",
]
