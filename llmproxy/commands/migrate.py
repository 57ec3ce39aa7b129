"""`llmproxy migrate`: copies a whole database into an empty one of another kind."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from llmproxy.config import Storage
from llmproxy.config.storage_url import by_url
from llmproxy.store.engine import Engine, engine_of


def main(given: argparse.Namespace) -> int:
    from llmproxy.core.errors import StoreError
    from llmproxy.store.migration import copy

    try:
        done = copy(_engine(given.source), _engine(given.target))
    except (StoreError, OSError) as error:
        detail = getattr(error, "detail", "")
        print(f"llmproxy: nothing was copied: {error} {detail}".rstrip(), file=sys.stderr)
        return 1
    for one in done:
        print(f"{one.table}: {one.rows:,} rows")
    print("All counts and sums are equal. Set [storage] url to the new database.")
    return 0


def _engine(url: str) -> Engine:
    where = by_url(Storage(url=url)).where
    return engine_of(where.expanduser().absolute() if isinstance(where, Path) else where)
