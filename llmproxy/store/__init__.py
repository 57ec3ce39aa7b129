"""The database: threads, the usage records (ledger), keys, and the amounts spent from budgets.

Begin with store.py: `Store` opens the database, and runs jobs in its threads (worker.py). A job is a function of a
connection, written once for all engines in the SQL that connection.py describes: threads.py, messages.py, ledger.py and
others. engine.py is the interface of a kind of database: sqlite/ (one file, or memory) and postgres/ (a server, for several
replicas). upkeep.py removes what is old, and what dead processes have left open. May import observe and the packages below.
"""

from __future__ import annotations

from llmproxy.core.errors import Damaged, NotFound, StoreError

from .ledger import Entry, Ledger
from .store import Remembered, Store

__all__ = ["Damaged", "Entry", "Ledger", "NotFound", "Remembered", "Store", "StoreError"]
