"""One process from its first socket to its exit code: start, signals, a new config, drain."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from llmproxy.config import Config, ConfigError
from llmproxy.config.key_names import heirs
from llmproxy.observe.log import log
from llmproxy.observe.periodic import every
from llmproxy.routing.gateway import Gateway

from ..app import build
from ..context import CURRENT, INFLIGHT, STORE
from ..middleware.peers import Peers
from . import disconnect_watchdog, load_monitor, workers
from .listener import VANISHED, Door

if TYPE_CHECKING:
    from llmproxy.store import Store


_UNSENT = 128 * 1024  # bytes that the system keeps beyond those on their way: else megabytes for each who does not read
# Nothing of a request waits for the collector but what failures leave: looking after 700 objects is a tenth of its CPU.
_COLLECT = (10_000, 10, 10)
_LOOK = 2.0  # seconds between two looks at the config's file
_LAST_WORDS = 2.0  # seconds for the last events of requests that were cancelled
_CONNECTION: dict[str, Any] = {
    "auto_decompress": False,
    "keepalive_timeout": 75,
    "access_log": None,
    "lingering_time": 1,
    "logger": logging.getLogger("aiohttp.server"),
}

Announce = Callable[[str, Gateway], None]


class PortTaken(Exception):
    """The address cannot be listened on."""


def run(config: Config, *, load: Callable[[], Config], announce: Announce | None = None) -> int:
    """Serves until told to stop. Returns the exit code: 0 drained, 1 stopped at once by a second signal."""
    log.configure(config.logs)
    if config.server.workers > 1:
        return _together(config, load, announce)
    return _alone(Process(config, load, announce))


def _alone(process: Process) -> int:
    with asyncio.Runner(loop_factory=_loop_factory(process.config.server.loop)) as runner:
        try:
            return runner.run(process.serve())
        finally:
            log.send()


def _together(config: Config, load: Callable[[], Config], announce: Announce | None) -> int:
    server = config.server
    held, port = workers.reserve(server.host, server.port)
    config = replace(config, server=replace(server, port=port))
    with held:
        return workers.Supervisor(
            server.workers, lambda place: _alone(Process(config, load, None if place.number else announce, place))
        ).run()


def _loop_factory(wanted: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if wanted == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


class Process:
    def __init__(
        self, config: Config, load: Callable[[], Config], announce: Announce | None, place: workers.Place | None = None
    ) -> None:
        self._place = place
        self.config = config
        self._load = load
        self._announce = announce
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._fresh: asyncio.Task[None] | None = None
        self._seen = 0.0  # when the config's file was last written, as far as is known

    async def serve(self) -> int:
        config = self.config
        gateway = Gateway.build(config)
        store = _store(lambda: app[CURRENT].config)
        app = build(config, gateway, store, Peers(self._place) if self._place is not None else None)
        self._signals(app)
        # Cancellation is off by default: a client that left would never be noticed.
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1, **_CONNECTION)
        await runner.setup()
        assert runner.server is not None
        door = Door(runner.server, config.server, config.limits.slow_reader, **_CONNECTION)
        listening = bound(config.server.host, config.server.port, share=self._place is not None)
        try:
            await door.open(listening)
            await self._join(runner)
            self._fresh = asyncio.get_running_loop().create_task(gateway.offers.keep_fresh())
            gc.freeze()  # what the start made lives as long as the process
            gc.set_threshold(*_COLLECT)
            gc.enable()
            if self._announce is not None:
                self._announce(_address(listening), gateway)
            with (
                disconnect_watchdog.running(app),
                door.watched(),
                load_monitor.watching(app),
                self._config_watched(app),
            ):
                await self._stop.wait()
                return await self._drain(app, door)
        finally:
            await self._close(app, runner, store)

    async def _join(self, runner: web.AppRunner) -> None:
        """Becomes one of several, if it is."""
        if self._place is not None:
            self._place.address.unlink(missing_ok=True)
            await web.UnixSite(runner, str(self._place.address)).start()
            workers.ends_with(self._place, self._told_to_stop)

    def _signals(self, app: web.Application) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload, app)
        self._seen = _changed(self.config.source)

    def _told_to_stop(self) -> None:
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    async def _drain(self, app: web.Application, door: Door) -> int:
        """Not ready, then deaf, then patient, then firm."""
        inflight, server = app[INFLIGHT], app[CURRENT].config.server
        app[CURRENT].ready = False
        log.info("draining", in_flight=len(inflight))
        await self._unless_hurried(server.drain_delay)
        door.close()
        await self._unless_hurried(server.drain_timeout, until=inflight.idle())
        left = inflight.cancel_all("drain")
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                await inflight.idle()
                await asyncio.sleep(0)  # the handlers write their last events
                while door.unsent:  # noqa: ASYNC110  # many connections, each with its own end
                    await asyncio.sleep(0.01)
        log.info("stopped", cancelled=left, hurried=self._hurry.is_set())
        return 1 if self._hurry.is_set() else 0

    async def _unless_hurried(self, seconds: float, until: object = None) -> None:
        waits = [asyncio.ensure_future(self._hurry.wait())]
        if until is not None:
            waits.append(asyncio.ensure_future(until))  # type: ignore[call-overload]  # a coroutine
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    def _look(self, app: web.Application) -> None:
        """A changed file is a new config, as SIGHUP is."""
        before, self._seen = self._seen, _changed(self.config.source)
        if self._seen != before:
            self._reload(app)

    def _config_watched(self, app: web.Application) -> AbstractContextManager[None]:
        return every(_LOOK, partial(self._look, app), "config_file") if self.config.source else nullcontext()

    def _reload(self, app: web.Application) -> None:
        """A new config, whole or not at all; requests in flight keep the old gateway."""
        try:
            config = self._load()
            gateway = Gateway.build(config)
        except Exception as error:  # noqa: BLE001  # an adapter may fail in any way: what runs goes on as it is
            known = isinstance(error, (ConfigError, LookupError))
            log.error("config_rejected", reason=str(error) if known else type(error).__name__)
            return
        app[CURRENT].gateway = gateway
        if _is_open(app[STORE]):
            app[STORE]().adopt(heirs(config.server.keys))
        if self._fresh is not None:
            self._fresh.cancel()
        self._fresh = asyncio.get_running_loop().create_task(gateway.offers.keep_fresh())
        log.info("config_reloaded", providers=list(gateway.rooms))

    async def _close(self, app: web.Application, runner: web.AppRunner, store: Callable[[], Store]) -> None:
        if self._fresh is not None:
            self._fresh.cancel()
        await runner.cleanup()
        await app[CURRENT].gateway.close()
        if _is_open(store):
            await store().close()


def _changed(file: str) -> float:
    """When the config's file was last written; 0 if there is none."""
    try:
        return os.stat(file).st_mtime if file else 0.0
    except OSError:
        return 0.0


def bound(host: str, port: int, *, share: bool = False) -> socket.socket:
    """A socket to listen on that notices peers that vanish. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if share:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    for option, value in (
        ("TCP_USER_TIMEOUT", VANISHED * 1000),
        ("TCP_KEEPIDLE", 5),
        ("TCP_KEEPINTVL", 3),
        ("TCP_KEEPCNT", 3),
        ("TCP_NOTSENT_LOWAT", _UNSENT),
    ):
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise PortTaken(f"cannot listen on {host}:{port}: {error.strerror}") from error
    made.setblocking(False)
    return made


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    shown = "127.0.0.1" if host == "0.0.0.0" else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


def _is_open(store: Callable[[], Store]) -> bool:
    return bool(store.cache_info().currsize)  # type: ignore[attr-defined]  # functools.cache


def _store(current: Callable[[], Config]) -> Callable[[], Store]:
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
