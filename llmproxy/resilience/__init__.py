"""What stands between a question and a provider that fails: retries, fallbacks, a queue, a breaker. Each wraps an opener.

Nothing here sees an answer that has begun: entering an opener is all that is retried, and that is over by then.
"""

from .budget import Budget
from .first_of import FirstOf
from .guarded import Breakers, Guarded
from .limited import Limited
from .retried import Retried

__all__ = ["Breakers", "Budget", "FirstOf", "Guarded", "Limited", "Retried"]
