"""All other workers and machines: which of them are asked about what, all at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import aiohttp
import orjson

from llmproxy.core.chat import Json

from .discovery import Machines
from .identity import Identity, tag_in
from .peer import Link, Peer, Question, Unreachable
from .place import Place
from .signature import Claims, Fresh, Scope, read

Origin = Literal["client"] | Scope  # who asks us: it decides whom we may ask


@dataclass(frozen=True, slots=True)
class Told:
    """What the others said. answers: of status 200. unanswered: those of which nothing is known."""

    answers: list[Json]
    unanswered: list[Peer]


@dataclass(frozen=True, slots=True)
class Found:
    """response: the answer of whoever knows what is asked about, its body still to be read; closed by who takes it."""

    response: aiohttp.ClientResponse | None
    peer: Peer | None
    unanswered: list[Peer]


class Peers:
    """own: who we are. machines: None where there is only this one."""

    def __init__(self, own: Identity, place: Place | None = None, machines: Machines | None = None) -> None:
        self.own = own
        self.machines = machines
        self._token = place.token.encode() if place is not None else b""
        self._fresh = Fresh()
        links = place.others() if place is not None else {}
        self.workers = {
            number: Peer(Link("http://localhost", path), self._token, own) for number, path in links.items()
        }

    def claims(self, scope: Scope, method: str, target: str, header: str) -> Claims | None:
        """What a peer says with a request; None if it is none."""
        secret = self.secret(scope)
        return read(secret, method, target, header) if secret else None

    def secret(self, scope: Scope) -> bytes:
        """By which those are known; empty where there are none."""
        if scope == "worker":
            return self._token
        return self.machines.secret if self.machines is not None else b""

    def is_fresh(self, claims: Claims, now: float) -> bool:
        """Whether it is meant for us, now, and for the first time."""
        return claims.to == self.own.instance and self._fresh.take(claims, now)

    def asked(self, origin: Origin) -> list[Peer]:
        """Whom we may ask. Who was asked by a worker asks nobody, who was asked by a machine its own workers: so no question
        ever comes back."""
        if origin == "worker":
            return []
        others = self.machines.peers if origin == "client" and self.machines is not None else []
        return [*self.workers.values(), *others]

    def asked_here(self, origin: Origin) -> list[Peer]:
        """Those on this machine."""
        return [] if origin == "worker" else [*self.workers.values()]

    def named(self, id: str, origin: Origin) -> Peer | None:
        """The one that made an id; None if it is ours, a client's own, or made by nobody we know."""
        found = tag_in(id)
        if found is None:
            return None
        machine, worker = found
        return next((one for one in self.asked(origin) if self._is(one, machine, worker)), None)

    def _is(self, peer: Peer, machine: str, worker: int) -> bool:
        if peer.link.socket is not None:
            return machine == self.own.machine and self.workers.get(worker) is peer
        return peer.identity is not None and peer.identity.machine == machine

    async def gather(self, question: Question, peers: Sequence[Peer]) -> Told:
        """What each says, within its deadline."""
        told = await asyncio.gather(*(_read(peer, question) for peer in peers))
        answers = [one for one in told if isinstance(one, dict)]
        return Told(answers, [peer for peer, one in zip(peers, told, strict=True) if isinstance(one, Unreachable)])

    async def first(self, question: Question, peers: Iterable[Peer]) -> Found:
        """The first answer that is no 404."""
        tasks = {asyncio.ensure_future(_look(peer, question)): peer for peer in peers}
        waiting, unanswered = set(tasks), []
        taken: asyncio.Future[aiohttp.ClientResponse | Unreachable | None] | None = None
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    said = task.result()
                    if isinstance(said, Unreachable):
                        unanswered += [tasks[task]] if said.state != "gone" else []
                    elif said is not None:
                        taken = task
                        return Found(said, tasks[task], [])
            return Found(None, None, unanswered)
        finally:
            await _let_go([one for one in tasks if one is not taken])

    async def close(self) -> None:
        for peer in (*self.workers.values(), *(self.machines.known.values() if self.machines is not None else ())):
            await peer.close()


async def _read(peer: Peer, question: Question) -> Json | Unreachable | None:
    """None where it has nothing to say, or is gone."""
    try:
        status, body = await peer.read(question)
    except Unreachable as error:
        return None if error.state == "gone" else error
    answer: Json | None = orjson.loads(body) if status == 200 and body else None
    return answer


async def _look(peer: Peer, question: Question) -> aiohttp.ClientResponse | Unreachable | None:
    try:
        response = await peer.ask(question)
        if response.status != 404:
            return response
        with suppress(aiohttp.ClientError):  # read, its connection is kept
            await response.read()
        response.release()
    except Unreachable as error:
        return error
    return None


async def _let_go(tasks: Sequence[asyncio.Future[aiohttp.ClientResponse | Unreachable | None]]) -> None:
    for task in tasks:
        task.cancel()
        task.add_done_callback(_closed)
    if tasks:
        await asyncio.wait(tasks)


def _closed(task: asyncio.Future[aiohttp.ClientResponse | Unreachable | None]) -> None:
    if (
        not task.cancelled()
        and task.exception() is None
        and isinstance(response := task.result(), aiohttp.ClientResponse)
    ):
        response.close()
