"""A new config while the process runs: on SIGHUP, and when the file has changed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from aiohttp import web

from llmproxy.config import Config, ConfigError
from llmproxy.config.key_names import heirs
from llmproxy.observe.log import log
from llmproxy.observe.periodic import every
from llmproxy.routing.gateway import Gateway

from ..context import CURRENT, OBSERVER, REGISTRY, STORE
from ..opened_store import is_open
from ..pricing import pricing_of

_LOOK = 2.0  # seconds between two looks at the config's file


class Reload:
    """Replaces the gateway, and keeps the lists of models of the current one fresh. `source`: the config's file, or none."""

    def __init__(self, app: web.Application, load: Callable[[], Config], source: str) -> None:
        self._app = app
        self._load = load
        self._source = source
        self._seen = _changed(source)  # when the file was last written, as far as is known
        self._fresh: asyncio.Task[None] | None = None

    def keep_fresh(self) -> None:
        """Asks the providers of the current gateway for their models, now and then."""
        self.stop()
        self._fresh = asyncio.get_running_loop().create_task(self._app[CURRENT].gateway.catalog.keep_fresh())

    def stop(self) -> None:
        if self._fresh is not None:
            self._fresh.cancel()

    def watched(self) -> AbstractContextManager[None]:
        """Looks at the file for as long as the block lasts."""
        return every(_LOOK, self._look, "config_file") if self._source else nullcontext()

    def reload(self) -> None:
        """A new config, whole or not at all; requests in flight keep the old gateway."""
        app = self._app
        try:
            config = self._load()
            gateway = Gateway.build(config, app[CURRENT].gateway)
        except Exception as error:  # noqa: BLE001  # an adapter may fail in any way: what runs goes on as it is
            known = isinstance(error, (ConfigError, LookupError))
            log.error("config_rejected", reason=str(error) if known else type(error).__name__)
            return
        app[CURRENT].gateway = gateway
        app[OBSERVER].pricing = pricing_of(gateway)
        names = {key.name for key in config.server.keys}
        app[REGISTRY].stop_all("key_revoked", lambda one: bool(one.owner) and one.owner not in names)
        if is_open(app[STORE]):
            app[STORE]().adopt(heirs(config.server.keys))
        self.keep_fresh()
        tell_notes(config)
        log.info("config_reloaded", providers=list(gateway.stacks))

    def _look(self) -> None:
        before, self._seen = self._seen, _changed(self._source)
        if self._seen != before:
            self.reload()


def tell_notes(config: Config) -> None:
    """What was given and does not count, as warnings."""
    for note in config.notes:
        log.warning("config_note", note=note)


def _changed(file: str) -> float:
    """When the config's file was last written; 0 if there is none."""
    try:
        return os.stat(file).st_mtime if file else 0.0
    except OSError:
        return 0.0
