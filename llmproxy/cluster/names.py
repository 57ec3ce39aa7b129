"""Finds the addresses of the other replicas by DNS or in the database."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from llmproxy.config import Cluster, Config
from llmproxy.config.addresses import is_loopback

if TYPE_CHECKING:
    from llmproxy.store import Store

_ALL_INTERFACES = ("", "0.0.0.0", "::", "*")  # listening addresses that mean all interfaces
_FAR = "192.0.2.1"  # reserved for documentation (RFC 5737): its route is the default one, and nothing is sent


class Names(Protocol):
    """source: for the log. every: seconds between two lookups."""

    source: str
    every: float

    async def addresses(self) -> Sequence[str]:
        """The URLs, possibly with the own one. Raises OSError or GatewayError if the lookup fails."""
        ...


class DnsNames:
    """Each address of a DNS name is a replica."""

    every = 3.0

    def __init__(self, cluster: Cluster) -> None:
        self.source = cluster.dns
        self._scheme = "https" if cluster.ca_file else "http"

    async def addresses(self) -> Sequence[str]:
        host, _, port = self.source.rpartition(":")
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        return [_url(self._scheme, one, int(port)) for one in sorted({str(place[0]) for *_, place in found})]


class StoredNames:
    """Each replica writes its address with its heartbeat. Replicas whose heartbeat is too old are left out."""

    source = "[storage] url"
    every = 1.0

    def __init__(self, store: Callable[[], Store], address: str) -> None:
        self._store = store
        self._address = address

    async def addresses(self) -> Sequence[str]:
        return await self._store().meet(self._address)


def advertised(config: Config, port: int) -> str:
    """The URL at which other replicas reach this one: `advertise` if set, otherwise the listening address.

    port: of the clients' socket. If the replica listens on all interfaces: the address from which it reaches the database,
    otherwise that of its default route. Blocks while names are resolved.
    """
    cluster = config.cluster
    if cluster.advertise:
        return cluster.advertise
    host = config.server.host
    if cluster.listen:
        host, _, own = cluster.listen.rpartition(":")
        port = int(own)
    host = host.strip("[]")
    if host in _ALL_INTERFACES:
        host = _outgoing_address(urlsplit(config.storage.url).hostname or _FAR, ipv4=host == "0.0.0.0")
    return _url("https" if cluster.ca_file else "http", host, port)


def _outgoing_address(to: str, *, ipv4: bool) -> str:
    for target in (to, _FAR):
        own = _source_address(target, socket.AF_INET if ipv4 else socket.AF_UNSPEC)
        if own and not is_loopback(own):
            return own
    return "127.0.0.1"


def _source_address(target: str, family: socket.AddressFamily) -> str:
    """The local address from which a target is reached; empty if there is no route. Sends nothing."""
    try:
        kind, _, _, _, place = socket.getaddrinfo(target, 9, family, socket.SOCK_DGRAM)[0]
        with socket.socket(kind, socket.SOCK_DGRAM) as probe:
            probe.connect(place)
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def _url(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
