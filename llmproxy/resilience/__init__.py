"""What stands between a question and a provider that fails: retries, fallbacks, a queue, a breaker. Each wraps an opener.

Nothing here sees an answer that has begun: entering an opener is all that is retried, and that is over by then.
"""

from .breaker import Breakers, Guarded
from .concurrency import Limited, Places
from .failover import FirstOf
from .retry import Retried
from .retry_budget import Budget

__all__ = ["Breakers", "Budget", "FirstOf", "Guarded", "Limited", "Places", "Retried"]
