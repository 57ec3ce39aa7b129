"""The process's store, opened at first use; a reload may open another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from llmproxy.config import Config, Storage
from llmproxy.config.key_names import heirs
from llmproxy.observe.log import log
from llmproxy.store import place

if TYPE_CHECKING:
    from llmproxy.store import Store


class OpenedStores:
    """Calling it returns the store of the current configuration, which is opened at its first use.

    A store that a reload has replaced stays open until the process ends, because running answers write to it.
    """

    def __init__(self, current: Callable[[], Config]) -> None:
        self._current = current
        self._opened: dict[str, Store] = {}  # by folder or URL; an empty name: in memory
        self._settings: Storage | None = None  # with which the current store was opened
        self._now: Store | None = None

    def __call__(self) -> Store:
        config = self._current()
        kept = config.storage
        if self._now is not None and kept is self._settings:
            return self._now
        name = _name(kept)
        store = self._opened.get(name)
        if store is None:
            store = self._opened[name] = _open(config)
        else:
            store.settle(kept.ledger_days, kept.tape_bytes, kept.tape_hours)
        self._settings, self._now = kept, store
        store.keeps_back = config.degraded.threads == "memory"
        return store

    @property
    def opened(self) -> Store | None:
        """The current store, if it was used already."""
        return self._opened.get(_name(self._current().storage))

    @property
    def problem(self) -> str:
        """Why nothing can be stored at the moment; empty if there is no fault."""
        store, kept = self.opened, self._current().storage
        if store is not None:
            return store.fault
        return place.problem_with(kept.where) if kept.enabled else ""

    def look(self) -> None:
        """Reports at the start what a first use would find: a folder that is not writable, a database that cannot be opened.

        A PostgreSQL database is always opened, so that other replicas learn about this one.
        """
        kept = self._current().storage
        if not kept.enabled or self.opened is not None:
            return
        if problem := self.problem:
            log.error("storage_failed", reason=problem)
        elif place.is_there(kept.where):
            self().open_soon()

    async def close(self) -> None:
        for store in self._opened.values():
            await store.close()


def opened(store: Callable[[], Store]) -> Store | None:
    """The store, if it was used already."""
    return store.opened if isinstance(store, OpenedStores) else store()


def there(store: Callable[[], Store], storage: Storage) -> Store | None:
    """The store, if there is one with earlier data."""
    if not storage.enabled:
        return None
    return opened(store) or (store() if place.is_there(storage.where) else None)


def problem(store: Callable[[], Store]) -> str:
    """Why nothing can be stored at the moment; empty if there is no fault."""
    return store.problem if isinstance(store, OpenedStores) else store().fault


def _name(kept: Storage) -> str:
    return str(kept.where) if kept.enabled else ""


def _open(config: Config) -> Store:
    from llmproxy.store import Store

    kept = config.storage
    return Store(
        kept.where if kept.enabled else None,
        kept.ledger_days,
        tape_bytes=kept.tape_bytes,
        tape_hours=kept.tape_hours,
        heirs=heirs(config.server.keys),
    )
