"""Identifies this replica to another one."""

from __future__ import annotations

import time

import orjson
from aiohttp import web

from llmproxy.cluster.peer import PROOF
from llmproxy.cluster.signature import proof

from ..context import PEERS
from ..middleware.forwarding import is_from_peer, secret_of, signature_of


async def hello(request: web.Request) -> web.Response:
    """For other replicas; everybody else gets 404. Also proves that this replica knows the secret."""
    peers = request.app[PEERS]
    if peers is None or not is_from_peer(request):
        raise web.HTTPNotFound
    body = orjson.dumps(peers.own.as_json(time.time()))
    headers = {PROOF: proof(secret_of(request, peers), signature_of(request), body)}
    return web.Response(body=body, content_type="application/json", headers=headers)
