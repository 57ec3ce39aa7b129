"""Requests whose process ended before them: shows what the store has, and reports that the rest is lost."""

from __future__ import annotations

import asyncio
import time

import orjson
from aiohttp import web

from llmproxy.core.chat import Json
from llmproxy.core.errors import GatewayError, StoreError
from llmproxy.core.usage import DOLLAR
from llmproxy.store import Remembered

from ..context import CURRENT, PEERS, STORE, caller
from ..opened_store import there

_WAIT = 2.0  # seconds for the store


async def one(request: web.Request) -> web.Response | None:
    """Shows a lost request like a known one; it cannot be cancelled."""
    found = await lost_request(request, request.match_info["id"])
    if found is None:
        return None
    return web.Response(body=orjson.dumps(_shown(found)), content_type="application/json")


async def refuse(request: web.Request) -> web.StreamResponse | None:
    """Raises GatewayError (410) for data that only the ended process had."""
    await refuse_lost(request, request.match_info["id"])
    return None


async def refuse_lost(request: web.Request, id: str) -> None:
    """Raises GatewayError (410) for a request whose process has ended before it.

    Not for one that had ended by itself: it may be an answer of a thread that was deleted, or of another key.
    """
    found = await lost_request(request, id)
    if found is None or found["state"] != "lost":
        return
    raise GatewayError(
        "The process that answered this request has ended, and nothing of it was kept that could be given.",
        status=410,
        code="answer_lost",
        param="id",
    )


async def lost_request(request: web.Request, id: str) -> Json | None:
    """The ledger's row of a request of the caller (an administrator: of any owner) whose process has ended, or had forgotten it.

    Its state is `lost` if it had not ended before its process, and else the one that it ended with.

    Raises GatewayError (503) if its process may still run but has not answered, and StoreError if the store fails.
    """
    app, key = request.app, caller(request)
    store = there(app[STORE], app[CURRENT].config.storage)
    if store is None:
        return None
    try:
        async with asyncio.timeout(_WAIT):
            found = await store.remembered(None if key.admin else key.name, id)
    except TimeoutError:
        raise StoreError("The database did not answer in time, and may know this request.") from None
    if found is None or (found.lives and not _has_ended(request, found)):
        return None
    if found.row["state"] in ("open", "lost"):
        return {**found.row, "state": "lost", "code": "answer_lost"}
    return None if found.here else found.row


def _has_ended(request: web.Request, found: Remembered) -> bool:
    """Whether the process of a request has ended although its heartbeat is not too old yet: nothing listens at its address.

    Raises GatewayError (503) if that is unknown.
    """
    peers = request.app[PEERS]
    if found.here or peers is None:
        return False
    maker = peers.maker_of(found.row["uid"] or found.row["id"], "client")
    if maker is not None and maker.state == "gone":
        return True
    raise GatewayError(
        "The replica that has this request does not answer, and may still live. Try again.",
        status=503,
        code="peer_unreachable",
        headers={"Retry-After": "1"},
    )


def _shown(row: Json) -> Json:
    """In the form of known requests."""
    return {
        "id": row["id"],
        "uid": row["uid"] or row["id"],
        "object": "request",
        "state": row["state"],
        "phase": None,
        "by": row["stopped_by"],
        "model": row["model"],
        "provider": row["provider"],
        "provider_model": row["provider_model"],
        "attempts": row["attempts"],
        "owner": row["owner"] or None,
        "age_s": round((row["closed_at"] or time.time()) - row["opened_at"], 3),
        "tokens": row["tokens_out"] or 0,
        "tokens_estimated": row["usage_source"] != "provider",
        "stream": None,
        "ttft_ms": _rounded(row["ttft_ms"]),
        "duration_ms": _rounded(row["duration_ms"]),
        "closed_ms": _rounded(row["closed_ms"]),
        "status": row["status"],
        "code": row["code"],
        "usage": None,
        "cost": row["cost_e12"] / DOLLAR if row["cost_e12"] is not None else None,
        "cache": None,
        "queue_position": None,
        "started_at": row["opened_at"],
        "tries": [],
    }


def _rounded(ms: float | None) -> float | None:
    return round(ms, 1) if ms is not None else None
