"""Discovers other machines, from a list or by DNS, and greets each of them every second."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

from llmproxy.config import Cluster
from llmproxy.observe.log import log
from llmproxy.observe.periodic import failed

from .identity import Identity
from .peer import Link, Peer, Unreachable
from .tls import asking

_ROUND = 1.0  # seconds between two rounds
_GREET = 1.0  # seconds for an answer
_EACH = 0.05  # seconds for each peer: a large cluster is greeted less often
_LOOK_UP = 3.0  # seconds between two looks at the name
_PATIENCE = 5.0  # seconds for a look


class Machines:
    """known: by address, this machine too where the list has it. changed: told of how many processes there are elsewhere."""

    def __init__(self, cluster: Cluster, own: Identity) -> None:
        self.secret = cluster.secret.encode("utf-8", "surrogateescape")
        self.known: dict[str, Peer] = {}
        self.changed: Callable[[int], None] = lambda count: None
        self.port = int(cluster.listen.rpartition(":")[2]) if cluster.listen else None  # where only peers are served
        self._dns = cluster.dns
        self._tls = asking(cluster) if cluster.ca_file else None
        self._own = own
        self._told: dict[str, str] = {}  # address: what was logged of it last
        self._looking: asyncio.Task[list[str]] | None = None
        self._looked = -_LOOK_UP
        self._named = set(cluster.peers)
        self._know()

    @property
    def peers(self) -> list[Peer]:
        """The other machines, each once, however many addresses lead to it."""
        found: dict[str, Peer] = {}
        for address, peer in self.known.items():
            if not self._is_own(peer):
                found.setdefault(peer.identity.instance if peer.identity is not None else address, peer)
        return list(found.values())

    @property
    def processes(self) -> int:
        """How many processes answer elsewhere, as far as is known. One that is silent counts: it may serve others."""
        there = [one for one in self.peers if one.state != "gone"]
        return sum(one.identity.workers if one.identity is not None else 1 for one in there)

    async def run(self) -> None:
        before = -1
        while True:
            await self.look()
            if (count := self.processes) != before:
                before = count
                self.changed(count)
            await asyncio.sleep(max(_ROUND, _EACH * len(self.known)))

    async def look(self) -> None:
        """One round: where they are, and who is there."""
        if self._dns:
            await self._look_up()
        await asyncio.gather(*(self._greet(address, peer) for address, peer in list(self.known.items())))
        for address in [one for one in self.known if one not in self._named]:
            if self.known[address].state != "up":  # one that no name leads to any more may still have streams to end
                await self.known.pop(address).close()
                self._told.pop(address, None)

    def _is_own(self, peer: Peer) -> bool:
        return peer.identity is not None and peer.identity.instance == self._own.instance

    def _know(self) -> None:
        for address in self._named - self.known.keys():
            self.known[address] = Peer(Link(address, tls=self._tls), self.secret, self._own)

    async def _greet(self, address: str, peer: Peer) -> None:
        try:
            identity = await peer.greet(_GREET)
            told = "self" if self._is_own(peer) else f"up {identity.name} {identity.instance}"
        except Unreachable as error:
            told = f"{error.state} {error}"
        except Exception as error:  # noqa: BLE001  # whatever it is, the next round comes all the same
            failed("peers", error)
            return
        if self._told.get(address) != told:
            self._tell(address, peer, told)

    def _tell(self, address: str, peer: Peer, told: str) -> None:
        first = address not in self._told
        self._told[address] = told
        if told == "self":
            return
        if peer.state == "up":
            log.info("peer_up", address=address, name=peer.name, version=peer.identity and peer.identity.version)
        elif not first or peer.state == "strange":  # others are only just starting, when we do
            log.warning("peer_lost", address=address, state=peer.state, reason=told.partition(" ")[2])

    async def _look_up(self) -> None:
        """Takes up the addresses of the name. While nobody answers, those of before stay."""
        loop = asyncio.get_running_loop()
        if self._looking is None:
            if loop.time() - self._looked < _LOOK_UP:
                return
            self._looked = loop.time()
            self._looking = loop.create_task(self._addresses())
        await asyncio.wait({self._looking}, timeout=_PATIENCE if not self.known else _GREET)
        if not self._looking.done():  # a look cannot be ended: the next one waits for it
            return
        looking, self._looking = self._looking, None
        try:
            self._named = set(looking.result())
        except OSError as error:
            if self._told.get("") != str(error):
                log.warning("peers_not_found", name=self._dns, reason=error.strerror or str(error))
            self._told[""] = str(error)
            return
        self._told.pop("", None)
        self._know()

    async def _addresses(self) -> list[str]:
        host, _, port = self._dns.rpartition(":")
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        scheme = "https" if self._tls is not None else "http"
        addresses = {str(place[0]) for *_, place in found}
        return [f"{scheme}://{f'[{one}]' if ':' in one else one}:{port}" for one in sorted(addresses)]

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await self._looking
