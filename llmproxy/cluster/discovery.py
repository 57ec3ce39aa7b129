"""Finds other machines from a list, by DNS or in the database, and sends each of them a greeting every second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from llmproxy.config import Cluster
from llmproxy.core.errors import GatewayError
from llmproxy.observe.log import log
from llmproxy.observe.periodic import failed

from .identity import Identity
from .names import DnsNames, Names
from .peer import Link, Peer, Unreachable
from .tls import client_context

_ROUND = 1.0  # seconds between two rounds of greetings
_GREET_TIMEOUT = 1.0  # seconds to wait for an answer
_PER_PEER = 0.05  # seconds added for each peer, so that a large cluster has longer rounds
_LOOKUP_TIMEOUT = 5.0  # seconds to wait for the first lookup


class Machines:
    """The other machines of the cluster.

    known: peers by address; includes this machine if the list does. changed: called with the number of processes on other
    machines whenever it changes. names: the source of addresses that are not in the configuration.
    """

    def __init__(self, cluster: Cluster, own: Identity) -> None:
        self.secret = cluster.secret.encode("utf-8", "surrogateescape")
        self.known: dict[str, Peer] = {}
        self.changed: Callable[[int], None] = lambda count: None
        self.port = (
            int(cluster.listen.rpartition(":")[2]) if cluster.listen else None
        )  # the port that serves peers only
        self.names: Names | None = DnsNames(cluster) if cluster.dns else None
        self._tls = client_context(cluster) if cluster.ca_file else None
        self._own = own
        self._logged: dict[str, str] = {}  # address: its status as last logged
        self._lookup: asyncio.Task[Sequence[str]] | None = None
        self._looked_up = float("-inf")
        self._named = set(cluster.peers)
        self._add_peers()

    @property
    def peers(self) -> list[Peer]:
        """The other machines, each once, even if several addresses lead to it."""
        found: dict[str, Peer] = {}
        for address, peer in self.known.items():
            if not self._is_own(peer):
                found.setdefault(peer.identity.instance if peer.identity is not None else address, peer)
        return list(found.values())

    @property
    def processes(self) -> int:
        """How many processes run on other machines, as far as is known. A silent one counts, because it may still serve clients."""
        there = [one for one in self.peers if one.state != "gone"]
        return sum(one.identity.workers if one.identity is not None else 1 for one in there)

    async def run(self) -> None:
        before = -1
        while True:
            await self.look()
            if (count := self.processes) != before:
                before = count
                self.changed(count)
            await asyncio.sleep(max(_ROUND, _PER_PEER * len(self.known)))

    async def look(self) -> None:
        """One round: looks up the addresses, and greets each."""
        if self.names is not None:
            await self._look_up(self.names)
        await asyncio.gather(*(self._greet(address, peer) for address, peer in list(self.known.items())))
        for address in [one for one in self.known if one not in self._named]:
            if self.known[address].state != "up":  # a peer that is no longer listed may still have running streams
                await self.known.pop(address).close()
                self._logged.pop(address, None)

    def _is_own(self, peer: Peer) -> bool:
        return peer.identity is not None and peer.identity.instance == self._own.instance

    def _add_peers(self) -> None:
        for address in self._named - self.known.keys():
            self.known[address] = Peer(Link(address, tls=self._tls), self.secret, self._own)

    async def _greet(self, address: str, peer: Peer) -> None:
        try:
            identity = await peer.greet(_GREET_TIMEOUT)
            status = "self" if self._is_own(peer) else f"up {identity.name} {identity.instance}"
        except Unreachable as error:
            status = f"{error.state} {error}"
        except Exception as error:  # noqa: BLE001  # the next round must run after any failure
            failed("peers", error)
            return
        if self._logged.get(address) != status:
            self._log_change(address, peer, status)

    def _log_change(self, address: str, peer: Peer, status: str) -> None:
        first = address not in self._logged
        self._logged[address] = status
        if status == "self":
            return
        if peer.state == "up":
            log.info("peer_up", address=address, name=peer.name, version=peer.identity and peer.identity.version)
        elif not first or peer.state == "strange":  # on the first round others may still be starting
            log.warning("peer_lost", address=address, state=peer.state, reason=status.partition(" ")[2])

    async def _look_up(self, names: Names) -> None:
        """Updates the addresses. If the lookup fails, the previous ones stay."""
        loop = asyncio.get_running_loop()
        if self._lookup is None:
            if loop.time() - self._looked_up < names.every:
                return
            self._looked_up = loop.time()
            self._lookup = loop.create_task(_addresses(names))
        await asyncio.wait({self._lookup}, timeout=_LOOKUP_TIMEOUT if not self.known else _GREET_TIMEOUT)
        if not self._lookup.done():  # a lookup cannot be cancelled: the next round waits for it
            return
        lookup, self._lookup = self._lookup, None
        try:
            self._named = set(lookup.result())
        except (OSError, GatewayError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if self._logged.get("") != reason:
                log.warning("peers_not_found", name=names.source, reason=reason)
            self._logged[""] = reason
            return
        if self._logged.pop("", None) is not None:
            log.info("peers_found", name=names.source)
        self._add_peers()

    async def close(self) -> None:
        if self._lookup is not None:
            self._lookup.cancel()
            await asyncio.wait([self._lookup])  # does not raise what it raises, nor hide a cancel of this task
            if not self._lookup.cancelled():
                self._lookup.exception()  # so that it counts as seen


async def _addresses(names: Names) -> Sequence[str]:
    return await names.addresses()
