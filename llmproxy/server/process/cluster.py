"""Joins this process to the cluster: name, peers, and listening address."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from aiohttp import web

from llmproxy.cluster.discovery import Machines
from llmproxy.cluster.identity import Identity
from llmproxy.cluster.peers import Peers
from llmproxy.cluster.place import Place
from llmproxy.config import Config, ConfigError

from ..context import ACCOUNTS, CURRENT, PEERS
from .socket_options import PortTaken, bound


def peers_of(config: Config, place: Place | None = None) -> Peers:
    """Raises ConfigError where the files for TLS cannot be used."""
    number, count, instance = (place.number, place.count, place.instance) if place is not None else (0, 1, "")
    own = Identity.fresh(config.cluster.name, instance, number, count)
    return Peers(own, place, Machines(config.cluster, own) if config.cluster.has_peers else None)


@asynccontextmanager
async def joined(app: web.Application) -> AsyncIterator[None]:
    """Looks for the others for as long as the block lasts, and counts the limits together with them."""
    async with AsyncExitStack() as stack:
        if (peers := app[PEERS]) is not None:
            stack.push_async_callback(peers.close)
            if peers.machines is not None:
                peers.machines.changed = app[ACCOUNTS].share_with
                app[ACCOUNTS].share_with(peers.machines.processes)  # as long as nobody was asked, all are there
                await stack.enter_async_context(_running(peers.machines.run()))
        if url := app[CURRENT].config.cluster.redis:
            from llmproxy.cluster.rates import Rates

            rates = app[ACCOUNTS].together = Rates(url)
            await stack.enter_async_context(_running(rates.run()))
        yield


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Does it beside what the block does."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def open_to_peers(config: Config, runner: web.AppRunner, *, share: bool) -> None:
    """Listens where only peers are served. Raises ConfigError where that cannot be."""
    cluster = config.cluster
    host, _, port = cluster.listen.rpartition(":")
    tls: ssl.SSLContext | None = None
    if cluster.ca_file:
        from llmproxy.cluster.tls import asked

        tls = asked(cluster)
    await web.SockSite(runner, _bound(host.strip("[]"), int(port), share=share), ssl_context=tls).start()


def check(config: Config) -> None:
    """What each worker would stumble over, once, before any is started. Raises ConfigError."""
    cluster = config.cluster
    if cluster.ca_file:
        from llmproxy.cluster.tls import asked, asking

        asked(cluster)
        asking(cluster)
    if cluster.listen:
        host, _, port = cluster.listen.rpartition(":")
        _bound(host.strip("[]"), int(port), share=False).close()


def _bound(host: str, port: int, *, share: bool) -> socket.socket:
    try:
        return bound(host, port, share=share)
    except (OSError, PortTaken) as error:
        raise ConfigError(f"cluster.listen: {error}") from None
