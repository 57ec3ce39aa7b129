"""Sends a request to all other workers and machines at the same time, or to the one that made an ID."""

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
from .signature import Claims, ReplayGuard, Scope, read

Origin = Literal["client"] | Scope  # who sent the request: it decides which peers may be targets


@dataclass(frozen=True, slots=True)
class Gathered:
    """The answers of several peers. answers: bodies of those with status 200. unanswered: peers that did not answer."""

    answers: list[Json]
    unanswered: list[Peer]


@dataclass(frozen=True, slots=True)
class Found:
    """response: the answer that is not a 404, with its body unread; the caller closes it. None if there is no such answer."""

    response: aiohttp.ClientResponse | None
    peer: Peer | None
    unanswered: list[Peer]


class Peers:
    """own: the identity of this process. machines: None if there are no others."""

    def __init__(self, own: Identity, place: Place | None = None, machines: Machines | None = None) -> None:
        self.own = own
        self.machines = machines
        self._token = place.token.encode() if place is not None else b""
        self._replay_guard = ReplayGuard()
        links = place.others() if place is not None else {}
        self.workers = {
            number: Peer(Link("http://localhost", path), self._token, own) for number, path in links.items()
        }

    def claims(self, scope: Scope, method: str, target: str, header: str) -> Claims | None:
        """The claims of a peer's request; None if the signature is not a peer's."""
        secret = self.secret(scope)
        return read(secret, method, target, header) if secret else None

    def secret(self, scope: Scope) -> bytes:
        """The secret shared with workers or machines; empty if there are none."""
        if scope == "worker":
            return self._token
        return self.machines.secret if self.machines is not None else b""

    def is_fresh(self, claims: Claims, now: float) -> bool:
        """Whether a request is for this instance, recent, and not a replay."""
        return claims.to == self.own.instance and self._replay_guard.take(claims, now)

    def targets(self, origin: Origin) -> list[Peer]:
        """The peers to ask. A request from a worker is not sent on, one from a machine only to its own workers: so there are
        no loops."""
        if origin == "worker":
            return []
        others = self.machines.peers if origin == "client" and self.machines is not None else []
        return [*self.workers.values(), *others]

    def targets_here(self, origin: Origin) -> list[Peer]:
        """The peers on this machine."""
        return [] if origin == "worker" else [*self.workers.values()]

    def maker_of(self, id: str, origin: Origin) -> Peer | None:
        """The peer that made an ID; None if this process, a client or an unknown process made it."""
        found = tag_in(id)
        if found is None:
            return None
        machine, worker = found
        return next((one for one in self.targets(origin) if self._is(one, machine, worker)), None)

    def _is(self, peer: Peer, machine: str, worker: int) -> bool:
        if peer.link.socket is not None:
            return machine == self.own.machine and self.workers.get(worker) is peer
        return peer.identity is not None and peer.identity.machine == machine

    async def gather(self, question: Question, peers: Sequence[Peer]) -> Gathered:
        """The answer of each peer, within its deadline."""
        results = await asyncio.gather(*(_read(peer, question) for peer in peers))
        answers = [one for one in results if isinstance(one, dict)]
        unanswered = [peer for peer, one in zip(peers, results, strict=True) if isinstance(one, Unreachable)]
        return Gathered(answers, unanswered)

    async def first(self, question: Question, peers: Iterable[Peer]) -> Found:
        """The first answer that is not a 404."""
        tasks = {asyncio.ensure_future(_ask(peer, question)): peer for peer in peers}
        waiting, unanswered = set(tasks), []
        taken: asyncio.Future[aiohttp.ClientResponse | Unreachable | None] | None = None
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    result = task.result()
                    if isinstance(result, Unreachable):
                        unanswered += [tasks[task]] if result.state != "gone" else []
                    elif result is not None:
                        taken = task
                        return Found(result, tasks[task], [])
            return Found(None, None, unanswered)
        finally:
            await _cancel([one for one in tasks if one is not taken])

    async def close(self) -> None:
        for peer in (*self.workers.values(), *(self.machines.known.values() if self.machines is not None else ())):
            await peer.close()


async def _read(peer: Peer, question: Question) -> Json | Unreachable | None:
    """The answer; None if its status is not 200, or no process runs there."""
    try:
        status, body = await peer.read(question)
    except Unreachable as error:
        return None if error.state == "gone" else error
    answer: Json | None = orjson.loads(body) if status == 200 and body else None
    return answer


async def _ask(peer: Peer, question: Question) -> aiohttp.ClientResponse | Unreachable | None:
    try:
        response = await peer.ask(question)
        if response.status != 404:
            return response
        with suppress(aiohttp.ClientError):  # a connection is kept only if the body was read
            await response.read()
        response.release()
    except Unreachable as error:
        return error
    return None


async def _cancel(tasks: Sequence[asyncio.Future[aiohttp.ClientResponse | Unreachable | None]]) -> None:
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
