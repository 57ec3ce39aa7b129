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
from llmproxy.cluster.names import StoredNames, advertised
from llmproxy.cluster.peers import Peers
from llmproxy.cluster.place import Place
from llmproxy.config import Config, ConfigError
from llmproxy.observe.log import log

from ..context import ACCOUNTS, CURRENT, PEERS, STORE
from .socket_options import PortTaken, bound


def peers_of(config: Config, place: Place | None = None) -> Peers:
    """The peers of this process. Raises ConfigError if the files for TLS cannot be used."""
    number, count, instance = (place.number, place.count, place.instance) if place is not None else (0, 1, "")
    own = Identity.fresh(config.cluster.name, instance, number, count)
    return Peers(own, place, Machines(config.cluster, own) if config.has_peers else None)


@asynccontextmanager
async def joined(app: web.Application, port: int = 0) -> AsyncIterator[None]:
    """While the block is active: finds the other processes, and shares limits with them. port: of the clients' socket."""
    async with AsyncExitStack() as stack:
        if (peers := app[PEERS]) is not None:
            stack.push_async_callback(peers.close)
            if peers.machines is not None:
                if app[CURRENT].config.finds_peers_in_store:
                    peers.machines.names = await _announced(app, port)
                peers.machines.changed = app[ACCOUNTS].share_with
                app[ACCOUNTS].share_with(peers.machines.processes)  # until the first round, all count as running
                await stack.enter_async_context(_running(peers.machines.run()))
        if url := app[CURRENT].config.cluster.redis:
            from llmproxy.cluster.rates import Rates

            rates = app[ACCOUNTS].together = Rates(url)
            await stack.enter_async_context(_running(rates.run()))
        yield


async def _announced(app: web.Application, port: int) -> StoredNames:
    address = await asyncio.to_thread(advertised, app[CURRENT].config, port)
    log.info("peers_in_store", address=address)
    return StoredNames(app[STORE], address)


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs a coroutine while the block is active."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def open_to_peers(config: Config, runner: web.AppRunner, *, share: bool) -> None:
    """Listens on the address for peers. Raises ConfigError if that is impossible."""
    cluster = config.cluster
    host, _, port = cluster.listen.rpartition(":")
    tls: ssl.SSLContext | None = None
    if cluster.ca_file:
        from llmproxy.cluster.tls import server_context

        tls = server_context(cluster)
    await web.SockSite(runner, _bound(host.strip("[]"), int(port), share=share), ssl_context=tls).start()


def check(config: Config) -> None:
    """Checks the settings once, before any worker starts. Raises ConfigError."""
    cluster = config.cluster
    if cluster.ca_file:
        from llmproxy.cluster.tls import client_context, server_context

        server_context(cluster)
        client_context(cluster)
    if cluster.listen:
        host, _, port = cluster.listen.rpartition(":")
        _bound(host.strip("[]"), int(port), share=False).close()


def _bound(host: str, port: int, *, share: bool) -> socket.socket:
    try:
        return bound(host, port, share=share)
    except (OSError, PortTaken) as error:
        raise ConfigError(f"cluster.listen: {error}") from None
