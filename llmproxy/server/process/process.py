"""Runs one process: start, signals, shutdown, exit code."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aiohttp import web

from llmproxy.config import Config
from llmproxy.core.errors import StoreError
from llmproxy.observe.log import log
from llmproxy.routing.gateway import Gateway

from ..account_watch import followed
from ..app import build
from ..context import ACCOUNTS, CURRENT, OBSERVER, PEERS
from ..middleware.gate import Gate
from ..middleware.routes import Front
from ..middleware.unread import Unread
from ..opened_store import OpenedStores
from . import disconnect_watchdog, load_monitor
from .drain import drain
from .listener import Listener
from .reload import Reload, log_notes
from .signals import ignore_signals, on_signal
from .socket_options import bound

if TYPE_CHECKING:
    from llmproxy.cluster.peers import Peers
    from llmproxy.cluster.place import Place


# Only failed requests leave objects for the garbage collector: running it after 700 objects would cost a tenth of a request's CPU.
_COLLECT = (10_000, 10, 10)
_CONNECTION: dict[str, Any] = {
    "auto_decompress": False,
    "access_log": None,
    "lingering_time": 1,
    "logger": logging.getLogger("aiohttp.server"),
}

_SIGNALS = tuple(
    number for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2") if (number := getattr(signal, name, None)) is not None
)

Announce = Callable[[str, Gateway], None]


def run(config: Config, *, load: Callable[[], Config], announce: Announce | None = None) -> int:
    """Serves until it gets a stop signal. Returns the exit code: 0 drained, 1 stopped at once by a second signal."""
    log.configure(config.logs)
    log_notes(config)
    if config.server.workers > 1:
        return _together(config, load, announce)
    return _alone(Process(config, load, announce))


def _alone(process: Process) -> int:
    try:
        with asyncio.Runner(loop_factory=_loop_factory(process.config.server.loop)) as runner:
            try:
                return runner.run(process.serve())
            finally:
                log.send()
    finally:
        ignore_signals(_SIGNALS)  # nobody is left to be told, and a further signal must not replace the exit code


def _together(config: Config, load: Callable[[], Config], announce: Announce | None) -> int:
    server = config.server
    from . import workers

    if config.cluster.listen:
        from .cluster import check

        check(config)
    Gateway.build(config)  # so that an error is reported once, not by each worker
    held, port = workers.reserve(server.host, server.port)
    config = replace(config, server=replace(server, port=port))
    with held:
        return workers.Supervisor(
            server.workers,
            lambda place: _alone(Process(config, load, None if place.number else announce, place)),
            config.storage.dir,
        ).run()


def _loop_factory(wanted: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":  # Windows' default loop has no add_reader, which is used to accept connections
        return asyncio.SelectorEventLoop
    if wanted == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


class Process:
    app: web.Application  # once it serves

    def __init__(
        self, config: Config, load: Callable[[], Config], announce: Announce | None, place: Place | None = None
    ) -> None:
        self._place = place
        self.config = config
        self._load = load
        self._announce = announce
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    async def serve(self) -> int:
        config = self.config
        gateway = Gateway.build(config)
        stores = OpenedStores(lambda: current.gateway.config)
        app = build(config, gateway, stores, self._peers())
        self.app, current = app, app[CURRENT]
        reload = Reload(app, self._load, config.source)
        self._signals(reload)
        # aiohttp's default is off: then a disconnect would not be noticed.
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1, **_CONNECTION)
        await runner.setup()
        assert runner.server is not None
        runner.server.request_handler = Front(app, Gate(app)).handle
        listener = Listener(runner.server, config.server, config.limits.slow_reader, **_CONNECTION)
        reload.listener = listener
        listener.refusals = app[OBSERVER].refusals
        listener.unread = Unread(app)
        listening = bound(config.server.host, config.server.port, share=self._place is not None)
        try:
            listener.open(listening)
            await self._join(runner)
            reload.keep_fresh()
            gc.freeze()  # objects of the start live as long as the process
            gc.set_threshold(*_COLLECT)
            gc.enable()
            if self._announce is not None:
                self._announce(_address(listening), gateway)
            stores.look()
            with (
                disconnect_watchdog.running(app),
                listener.watched(),
                load_monitor.watching(app),
                reload.watched(),
            ):
                async with followed(app), self._joined(listening):
                    await self._stop.wait()
                    return await drain(app, listener, self._hurry)
        finally:
            reload.stop()
            await _close(app, runner, stores)

    def _peers(self) -> Peers | None:
        if self._place is None and not self.config.has_peers:
            return None
        from .cluster import peers_of

        return peers_of(self.config, self._place)

    def _joined(self, listening: socket.socket) -> AbstractAsyncContextManager[None]:
        if self.app[PEERS] is None and not self.config.cluster.redis:
            return nullcontext()
        from .cluster import joined

        return joined(self.app, int(listening.getsockname()[1]))

    async def _join(self, runner: web.AppRunner) -> None:
        """Joins the cluster, if there is one."""
        if self.config.cluster.listen:
            from .cluster import open_to_peers

            await open_to_peers(self.config, runner, share=self._place is not None)
        if self._place is not None:
            from . import workers

            self._place.address.unlink(missing_ok=True)
            await web.UnixSite(runner, str(self._place.address)).start()
            workers.ends_with(self._place, self._stop.set)
            if workers.HURRY is not None:
                on_signal(asyncio.get_running_loop(), workers.HURRY, self._on_hurry)

    def _signals(self, reload: Reload) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            on_signal(loop, number, self._on_stop if self._place is None else self._stop.set)
        if hasattr(signal, "SIGHUP"):
            on_signal(loop, signal.SIGHUP, reload.reload)

    def stop(self) -> None:
        """Stops the process as a signal does."""
        self._on_stop()

    def _on_stop(self) -> None:
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    def _on_hurry(self) -> None:
        self._stop.set()
        self._hurry.set()


async def _close(app: web.Application, runner: web.AppRunner, stores: OpenedStores) -> None:
    await runner.cleanup()
    await app[CURRENT].gateway.close()
    with suppress(StoreError):
        await app[ACCOUNTS].bank.close()
    await stores.close()


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    shown = "127.0.0.1" if host == "0.0.0.0" else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"
