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
    """Called, it gives the store of the configuration that holds now: a gateway that keeps no threads never opens a database.

    A store that a new configuration has put aside stays open until the process ends: answers that were running write to it.
    """

    def __init__(self, current: Callable[[], Config]) -> None:
        self._current = current
        self._opened: dict[str, Store] = {}  # by folder or URL; an empty name is memory
        self._settings: Storage | None = None

    def __call__(self) -> Store:
        config = self._current()
        kept = config.storage
        name = _name(kept)
        store = self._opened.get(name)
        if store is None:
            store = self._opened[name] = _open(config)
            self._settings = kept
        elif kept is not self._settings:
            store.settle(kept.ledger_days, kept.tape_bytes, kept.tape_hours)
            self._settings = kept
        return store

    @property
    def opened(self) -> Store | None:
        """The store of now, if it was needed already."""
        return self._opened.get(_name(self._current().storage))

    @property
    def problem(self) -> str:
        """Why nothing can be kept just now; empty while all is well."""
        store, kept = self.opened, self._current().storage
        if store is not None:
            return store.fault
        return place.problem_with(kept.where) if kept.enabled else ""

    def look(self) -> None:
        """Says now what a first thread would find out: a folder that cannot be written to, a database that cannot be opened.

        A server is always opened, so that the other replicas know of this one.
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
    """The store, if it was needed already."""
    return store.opened if isinstance(store, OpenedStores) else store()


def problem(store: Callable[[], Store]) -> str:
    """Why nothing can be kept just now; empty while all is well."""
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
