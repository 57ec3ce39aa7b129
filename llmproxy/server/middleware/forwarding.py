"""Forwards requests to the worker or machine that owns them, and accepts forwarded ones. Loads nothing if there are no others."""

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

from ..context import INTAKE, PEERS, caller
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
    """A request that a peer has forwarded. nonce: of its signature."""

    scope: Scope
    nonce: str


_ARRIVED = web.RequestKey("arrived", Arrived)
_ASKED = web.RequestKey("asked", bool)  # all other processes were asked already


async def peer_caller(request: web.Request, peers: Peers) -> Key | None:
    """The caller for whom a peer asks; None for an ordinary client, also if the signature is wrong.

    Raises GatewayError: 409 for a valid signature that is too old, used, or for an earlier process; 401 for all others on a
    socket for peers only.
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
    """Raises GatewayError if the body is not the signed one."""
    from llmproxy.cluster.signature import digest

    body = request[INTAKE].small_body = await request.read()
    if claims.body != digest(body):
        raise GatewayError("The body is not the one that was signed.", status=409, code="peer_stale")


def _scope(request: web.Request, peers: Peers) -> Scope | None:
    """The kind of socket on which it came; None if peers are not served there."""
    name = request.transport.get_extra_info("sockname") if request.transport is not None else None
    if isinstance(name, (str, bytes)):
        return "worker"
    machines = peers.machines
    if machines is None or not name or (machines.port is not None and name[1] != machines.port):
        return None
    return "machine"


def _is_peers_own(request: web.Request, peers: Peers) -> bool:
    """Whether it came to the address of `[cluster] listen`, which is for peers only."""
    return peers.machines is not None and peers.machines.port is not None and _scope(request, peers) == "machine"


def has_others(request: web.Request) -> bool:
    """Whether there are other processes that this request may be forwarded to."""
    return request.app[PEERS] is not None and not is_from_peer(request)


def is_from_peer(request: web.Request) -> bool:
    """Whether another process forwarded this request: then it is not forwarded again."""
    return _ARRIVED in request


def signature_of(request: web.Request) -> str:
    """The nonce in the signature of a peer's request."""
    return request[_ARRIVED].nonce


def headers_for_peer(request: web.Request, dialect: Dialect | None) -> dict[str, str]:
    """Headers of a stream for a peer that relays it: the dialect of its errors. Empty for a client."""
    if dialect is None or not is_from_peer(request):
        return {}
    from llmproxy.cluster.peer import FACE

    return {FACE: dialect.name}


def secret_of(request: web.Request, peers: Peers) -> bytes:
    """The secret shared with the peer that sent this request."""
    return peers.secret(request[_ARRIVED].scope)


def _origin(request: web.Request) -> Origin:
    return request[_ARRIVED].scope if _ARRIVED in request else "client"


async def forward(request: web.Request, id: str) -> web.StreamResponse | None:
    """The answer of the process that knows the request: the one named in the ID, otherwise the first that answers.

    None if no process knows it. Raises GatewayError (503) if one that may know it has not answered.
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
    """The events of the stream at `path` from the process that has it, for the same caller.

    Raises GatewayError: that process's error, or if the stream is lost or unknown.
    """
    peers = request.app[PEERS]
    if peers is not None and not is_from_peer(request):
        from llmproxy.cluster.peer import Question

        from .relaying import events

        key = caller(request)
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
    maker = peers.maker_of(id, origin)
    found = await peers.first(question, [maker]) if maker is not None else None
    if found is None or (found.response is None and not found.unanswered):
        found = await peers.first(question, [one for one in peers.targets(origin) if one is not maker])
    return found


def refuse_unknown(unanswered: Sequence[Peer]) -> None:
    """Raises GatewayError (503) if a process has not answered, because the request may be there."""
    if unanswered:
        raise GatewayError(
            f"{len(unanswered)} of the other replicas did not answer, and what you ask about may be there. Try again.",
            status=503,
            code="peer_unreachable",
            headers={"Retry-After": "1"},
        )


@dataclass(frozen=True, slots=True)
class Others:
    """The answers of other processes, and the processes that did not answer."""

    answers: list[Json]
    unanswered: Sequence[Peer] = ()


NOBODY = Others([])


async def others(request: web.Request, id: str = "", *, machines: bool = True) -> Others:
    """The answers of the other processes to the same request.

    id: the ID that it is about; if it names a process, only that one is asked. machines: False asks only this machine's workers.
    """
    peers = request.app[PEERS]
    if peers is None:
        return NOBODY
    return await _gathered(request, peers, await _question(request), id, machines=machines)


async def ask_peers(request: web.Request, path: str, id: str) -> list[Json]:
    """The answers of the other processes to GET `path`, for the same caller."""
    peers = request.app[PEERS]
    if peers is None:
        return []
    from llmproxy.cluster.peer import Question

    key = caller(request)
    question = Question("GET", path, {}, caller=key.name, admin=key.admin)
    return (await _gathered(request, peers, question, id, machines=True)).answers


async def _gathered(request: web.Request, peers: Peers, question: Question, id: str, *, machines: bool) -> Others:
    origin = _origin(request)
    maker = peers.maker_of(id, origin) if id else None
    targets = peers.targets(origin) if machines else peers.targets_here(origin)
    gathered = await peers.gather(question, [maker] if maker is not None else targets)
    if (
        maker is not None and not gathered.answers and not gathered.unanswered
    ):  # a client's own ID looked like a gateway's
        gathered = await peers.gather(question, [one for one in targets if one is not maker])
    return Others(gathered.answers, gathered.unanswered)


async def _question(request: web.Request) -> Question:
    from llmproxy.cluster.peer import Question

    passed = {name: request.headers[name] for name in _PASSED if name in request.headers}
    known = request[INTAKE].small_body
    body = known if known is not None else await request.read()
    key = caller(request)
    return Question(request.method, without_key(request.path_qs), passed, body, key.name, key.admin)
