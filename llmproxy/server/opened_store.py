"""The process's one store, opened when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from llmproxy.config import Config
from llmproxy.config.key_names import heirs

if TYPE_CHECKING:
    from llmproxy.store import Store


def is_open(store: Callable[[], Store]) -> bool:
    """Whether it was needed already."""
    return bool(store.cache_info().currsize)  # type: ignore[attr-defined]  # functools.cache


def opened_store(current: Callable[[], Config]) -> Callable[[], Store]:
    """The store, made at the first call: a gateway that keeps no threads never opens a database."""

    @cache
    def opened() -> Store:
        from llmproxy.store import Store

        kept = current().storage
        folder = Path(kept.dir) if kept.enabled else None
        return Store(
            folder,
            kept.ledger_days,
            tape_bytes=kept.tape_bytes,
            tape_hours=kept.tape_hours,
            heirs=heirs(current().server.keys),
        )

    return opened
