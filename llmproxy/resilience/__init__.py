"""What stands between a question and a provider that fails: retries, fallbacks, a queue, a breaker. Each wraps an opener.

Nothing here sees an answer that has begun: entering an opener is all that is retried, and that is over by then.
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
