"""Reloads the configuration on SIGHUP and when the file has changed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from aiohttp import web

from llmproxy.accounts.keys import Configured, Learned
from llmproxy.config import Config, ConfigError
from llmproxy.config.aliases import doubts
from llmproxy.config.key_names import heirs
from llmproxy.config.load import refuse_open_door
from llmproxy.observe.log import log
from llmproxy.observe.periodic import every
from llmproxy.routing.gateway import Gateway

from .. import sharing
from ..account_watch import keys_of, stop_gone
from ..context import ACCOUNTS, ANSWERS, CURRENT, OBSERVER, REGISTRY, STORE
from ..opened_store import OpenedStores, opened
from ..pricing import pricing_of
from .listener import Listener

Written = tuple[int, int, int]
_LOOK = 2.0  # seconds between two checks of the configuration file


@dataclass(frozen=True, slots=True)
class _Read:
    """A new configuration, that of the start, its keys and those of its store, and its warnings."""

    config: Config
    began: Config
    written: Configured
    stored: Learned
    notes: tuple[str, ...]


class Reload:
    """Replaces the gateway, and keeps the current model lists up to date. `source`: the configuration file, or none."""

    listener: Listener | None = None

    def __init__(self, app: web.Application, load: Callable[[], Config], source: str) -> None:
        self._app = app
        self._load = load
        self._source = source
        self._seen = _changed(source)  # when the file was last written, as far as known
        self._fresh: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None  # the task that applies a new configuration
        self._again = False  # the file may have changed since it was read
        self._began: Config | None = None  # the configuration at the start

    def keep_fresh(self) -> None:
        """Refreshes the model lists of the current gateway periodically."""
        if self._fresh is not None:
            self._fresh.cancel()
        self._fresh = asyncio.get_running_loop().create_task(self._app[CURRENT].gateway.catalog.keep_fresh())

    def stop(self) -> None:
        for task in (self._fresh, self._task):
            if task is not None:
                task.cancel()

    def watched(self) -> AbstractContextManager[None]:
        """Checks the file periodically while the block is active."""
        return every(_LOOK, self._look, "config_file") if self._source else nullcontext()

    def reload(self) -> None:
        """Applies the configuration without interrupting requests. If called again meanwhile, it reads the file once more."""
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._reload())

    async def _reload(self) -> None:
        while self._again:
            self._again = False
            self._seen = _changed(self._source)
            try:
                self._take(await asyncio.to_thread(self._read))
            except Exception as error:  # noqa: BLE001  # an adapter may fail in any way: what runs goes on as it is
                known = isinstance(error, (ConfigError, LookupError))
                log.error("config_rejected", reason=str(error) if known else type(error).__name__)

    def _read(self) -> _Read:
        """Does all work that takes long with many keys and models; it changes nothing."""
        app = self._app
        config = self._load()
        began = self._began or app[CURRENT].config
        stored = Learned(keys_of(config.storage)) if config.storage.enabled else app[ACCOUNTS].keys.learned
        if not stored.known.accounts and stored.known.read:
            refuse_open_door(replace(config.server, host=began.server.host))  # the listening address does not change
        return _Read(config, began, Configured(config.server.keys), stored, tuple(doubts(config)))

    def _take(self, read: _Read) -> None:
        """Applies a new configuration completely or not at all; running requests keep the old gateway."""
        app, config = self._app, read.config
        before, keys = app[CURRENT].gateway, app[ACCOUNTS].keys
        gateway = Gateway.build(config, before)
        self._began = read.began
        app[CURRENT].gateway = gateway
        self._apply(config)
        app[ACCOUNTS].configure(config, pricing_of(gateway), read.written)
        if read.stored.known.number >= keys.known.number or config.storage.where != before.config.storage.where:
            keys.learn(read.stored)  # otherwise newer ones were read meanwhile
        stop_gone(app)
        if (store := opened(app[STORE])) is not None:
            store.adopt(heirs(config.server.keys))
        self.keep_fresh()
        if isinstance(stores := app[STORE], OpenedStores):
            stores.look()
        _log_notes(read.notes)
        if waiting := waiting_settings(read.began, config):
            log.warning("config_needs_restart", settings=waiting)
        log.info("config_reloaded", providers=list(gateway.stacks))

    def _apply(self, config: Config) -> None:
        """Applies the settings that are not read from the current configuration at each use."""
        app = self._app
        log.configure(config.logs)
        app[REGISTRY].remember(config.limits.remembered)
        sharing.configure(app[ANSWERS], config, app[STORE])
        app[OBSERVER].store = app[STORE] if config.storage.enabled else None
        if self.listener is not None:
            self.listener.set_limits(config.server, config.limits.slow_reader)

    def _look(self) -> None:
        if _changed(self._source) != self._seen:
            self.reload()


# Settings of [server] that a running process keeps, like [telemetry]. All others are applied when the file is loaded.
NEEDS_RESTART = ("host", "port", "workers", "loop", "page", "discover")


TABLES = ("cluster", "telemetry")


def waiting_settings(began: Config, now: Config) -> list[str]:
    """The settings that differ from those at the start, and need a restart."""
    changed = [name for name in NEEDS_RESTART if getattr(now.server, name) != getattr(began.server, name)]
    waiting = [f"server.{name}" for name in changed if name != "port" or now.server.port]  # port 0 means any port
    return waiting + [name for name in TABLES if getattr(now, name) != getattr(began, name)]


def log_notes(config: Config) -> None:
    """Logs what `llmproxy check` warns about."""
    _log_notes(doubts(config))


def _log_notes(notes: Iterable[str]) -> None:
    for note in notes:
        log.warning("config_note", note=note)


def _changed(file: str) -> Written:
    """A value that changes when the file is written or replaced; zeros if it does not exist."""
    try:
        found = os.stat(file) if file else None
    except OSError:
        found = None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found is not None else (0, 0, 0)
