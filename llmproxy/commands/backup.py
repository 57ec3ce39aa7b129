"""`llmproxy backup FILE`: copies the database with SQLite's backup function, also while a gateway is running."""

from __future__ import annotations

import argparse
import sys

from llmproxy.config import ELSEWHERE, load


def main(given: argparse.Namespace) -> int:
    from llmproxy.core.errors import GatewayError
    from llmproxy.store.sqlite import backup

    config = load(given.config, overrides=ELSEWHERE)
    if config.storage.url:
        print("llmproxy: the database is a PostgreSQL server: back it up with pg_dump", file=sys.stderr)
        return 1
    try:
        size = backup.copy(config.storage.dir, given.file)
    except (GatewayError, OSError) as error:
        print(f"llmproxy: no backup was made: {error}", file=sys.stderr)
        return 1
    print(f"{given.file}: {size} bytes, integrity checked")
    return 0
