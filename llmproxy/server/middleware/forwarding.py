"""Forwards requests to the worker or machine that owns them, and accepts forwarded ones. Loads nothing where there is no other."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from llmproxy.config import Key
from llmproxy.core.chat import Json
from llmproxy.core.errors import GatewayError, NotFound

from ..context import CALLER, PEERS, SMALL_BODY
from .credentials import without_key
from .routes import route_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmproxy.cluster.peer import Peer, Question
    from llmproxy.cluster.peers import Found, Origin, Peers
    from llmproxy.cluster.signature import Claims, Scope
    from llmproxy.core.dialect import Dialect

_HEADER = "X-LLMProxy-Peer"
_PASSED = ("Last-Event-ID", "Content-Type", "Accept")


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request that a peer passes on. nonce: of its signature."""

    scope: Scope
    nonce: str


_ARRIVED = web.RequestKey("arrived", Arrived)
_ASKED = web.RequestKey("asked", bool)  # all others have been asked about it


async def peer_caller(request: web.Request, peers: Peers) -> Key | None:
    """On whose behalf a peer asks; None if this is none: a wrong signature makes an ordinary client.

    Raises GatewayError: 409 for a right one that is too old, used, or meant for who was here before; 401 for anybody else
    where only peers are served.
    """
    header, route = request.headers.get(_HEADER), route_of(request)
    scope = _scope(request, peers)
    claims = (
        _claims(request, peers, scope, header) if header is not None and route.peers and scope is not None else None
    )
    if claims is None:
        if _is_peers_own(request, peers):
            raise GatewayError("Only replicas are served here.", status=401, code="invalid_api_key")
        return None
    assert scope is not None
    if claims.to == "" and route.path == _hello():
        request[_ARRIVED] = Arrived(scope, claims.nonce)
        return Key("", "", models=())
    await _check_body(request, claims)
    if not peers.is_fresh(claims, time.time()):
        headers = {"X-LLMProxy-Peer-Stale": "1"}
        raise GatewayError("The signature is not for this moment.", status=409, code="peer_stale", headers=headers)
    request[_ARRIVED] = Arrived(scope, claims.nonce)
    return Key(claims.caller, "", admin=claims.admin)


def _claims(request: web.Request, peers: Peers, scope: Scope, header: str) -> Claims | None:
    return peers.claims(scope, request.method, request.raw_path, header)


def _hello() -> str:
    from llmproxy.cluster.peer import HELLO

    return HELLO


async def _check_body(request: web.Request, claims: Claims) -> None:
    """Raises GatewayError if it is not the body that was signed."""
    from llmproxy.cluster.signature import digest

    request[SMALL_BODY] = await request.read()
    if claims.body != digest(request[SMALL_BODY]):
        raise GatewayError("The body is not the one that was signed.", status=409, code="peer_stale")


def _scope(request: web.Request, peers: Peers) -> Scope | None:
    """By which socket it came. None: not one on which peers are served."""
    name = request.transport.get_extra_info("sockname") if request.transport is not None else None
    if isinstance(name, (str, bytes)):
        return "worker"
    machines = peers.machines
    if machines is None or not name or (machines.port is not None and name[1] != machines.port):
        return None
    return "machine"


def _is_peers_own(request: web.Request, peers: Peers) -> bool:
    """Whether it came by the address that `[cluster] listen` opens for peers only."""
    return peers.machines is not None and peers.machines.port is not None and _scope(request, peers) == "machine"


def has_others(request: web.Request) -> bool:
    """Whether there are other processes, of which all that there are can be asked for this request."""
    return request.app[PEERS] is not None and not is_from_peer(request)


def is_from_peer(request: web.Request) -> bool:
    """Whether another process passes this on: it is then for what this machine, or this worker, alone knows."""
    return _ARRIVED in request


def signature_of(request: web.Request) -> str:
    """The nonce of a peer's request."""
    return request[_ARRIVED].nonce


def told_to_peer(request: web.Request, dialect: Dialect | None) -> dict[str, str]:
    """Headers of a stream for a peer that relays it: in whose dialect it tells errors. None for a client."""
    if dialect is None or not is_from_peer(request):
        return {}
    from llmproxy.cluster.peer import FACE

    return {FACE: dialect.name}


def secret_of(request: web.Request, peers: Peers) -> bytes:
    """The secret by which that peer is known."""
    return peers.secret(request[_ARRIVED].scope)


def _origin(request: web.Request) -> Origin:
    return request[_ARRIVED].scope if _ARRIVED in request else "client"


async def forward(request: web.Request, id: str) -> web.StreamResponse | None:
    """The answer of whoever knows what is asked about: of the one that the id names, else of whoever answers first.

    None if nobody knows it. Raises GatewayError (503) if somebody who may know it has not answered.
    """
    peers = request.app[PEERS]
    if peers is None or _ASKED in request:
        return None
    from .relaying import relay

    request[_ASKED] = True
    question = await _question(request)
    found = await _first(peers, question, _origin(request), id)
    if found.response is None or found.peer is None:
        refuse_unknown(found.unanswered)
        return None
    return await relay(request, question, found.peer, found.response)


async def events_elsewhere(request: web.Request, path: str, id: str) -> AsyncGenerator[bytes, None]:
    """The whole events of the stream at `path` of whoever knows what is asked about, on behalf of the same caller.

    Raises GatewayError as that one says, and where it is lost, or nobody knows of it.
    """
    peers = request.app[PEERS]
    if peers is not None and not is_from_peer(request):
        from llmproxy.cluster.peer import Question

        from .relaying import events

        key = request[CALLER]
        question = Question("GET", path, {}, caller=key.name, admin=key.admin)
        found = await _first(peers, question, "client", id)
        if found.response is not None and found.peer is not None:
            async with aclosing(events(question, found.peer, found.response)) as blocks:
                async for block in blocks:
                    yield block
            return
        refuse_unknown(found.unanswered)
    raise NotFound("There is no such request.", code="request_not_found")


async def _first(peers: Peers, question: Question, origin: Origin, id: str) -> Found:
    named = peers.named(id, origin)
    found = await peers.first(question, [named]) if named is not None else None
    if found is None or (found.response is None and not found.unanswered):
        found = await peers.first(question, [one for one in peers.asked(origin) if one is not named])
    return found


def refuse_unknown(unanswered: Sequence[Peer]) -> None:
    """Raises GatewayError (503) where somebody has not answered: what is asked about may be there."""
    if unanswered:
        raise GatewayError(
            f"{len(unanswered)} of the other replicas did not answer, and what you ask about may be there. Try again.",
            status=503,
            code="peer_unreachable",
            headers={"Retry-After": "1"},
        )


@dataclass(frozen=True, slots=True)
class Others:
    """What other processes answered, and those of which nothing is known."""

    answers: list[Json]
    unanswered: Sequence[Peer] = ()


NOBODY = Others([])


async def others(request: web.Request, id: str = "", *, machines: bool = True) -> Others:
    """What the others say to the same request; nothing where there are none.

    id: what is asked about; if it names its process, that one alone is asked. machines: else this one's workers only.
    """
    peers = request.app[PEERS]
    if peers is None:
        return NOBODY
    return await _gathered(request, peers, await _question(request), id, machines=machines)


async def others_say(request: web.Request, path: str, id: str) -> list[Json]:
    """What the others say to GET `path`, asked on behalf of the same caller."""
    peers = request.app[PEERS]
    if peers is None:
        return []
    from llmproxy.cluster.peer import Question

    key = request[CALLER]
    question = Question("GET", path, {}, caller=key.name, admin=key.admin)
    return (await _gathered(request, peers, question, id, machines=True)).answers


async def _gathered(request: web.Request, peers: Peers, question: Question, id: str, *, machines: bool) -> Others:
    origin = _origin(request)
    named = peers.named(id, origin) if id else None
    asked = peers.asked(origin) if machines else peers.asked_here(origin)
    told = await peers.gather(question, [named] if named is not None else asked)
    if named is not None and not told.answers and not told.unanswered:  # a client's own id may look like one of ours
        told = await peers.gather(question, [one for one in asked if one is not named])
    return Others(told.answers, told.unanswered)


async def _question(request: web.Request) -> Question:
    from llmproxy.cluster.peer import Question

    passed = {name: request.headers[name] for name in _PASSED if name in request.headers}
    body = request[SMALL_BODY] if SMALL_BODY in request else await request.read()
    key = request[CALLER]
    return Question(request.method, without_key(request.path_qs), passed, body, key.name, key.admin)
