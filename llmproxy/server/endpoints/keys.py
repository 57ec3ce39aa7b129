"""/api/keys: administrators create, change and revoke keys; everybody sees their own."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable

import orjson
from aiohttp import web

from llmproxy.accounts import keys
from llmproxy.config import Budget, Key
from llmproxy.config.quotas import end, shown
from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest, GatewayError
from llmproxy.core.usage import DOLLAR
from llmproxy.store import accounts as stored
from llmproxy.store import spend
from llmproxy.wire.json_body import parse_body

from ..account_watch import forget, refresh
from ..context import ACCOUNTS, CURRENT, STORE, caller
from ..middleware.body import parsed, read_json
from ..middleware.forwarding import is_from_peer, others

_AT_ONCE = 200  # keys that are rendered before other requests get a turn
_OVERLAP = "1d"  # how long the older secret of a rotated key stays valid


async def listed(request: web.Request) -> web.Response:
    """All keys for an administrator, otherwise the caller's own."""
    if is_kept(request):
        await refresh(request.app)
    ring, key = request.app[ACCOUNTS].keys, caller(request)
    names = (
        [*(one.name for one in ring.static), *(one.name for one in ring.known.accounts)] if key.admin else [key.name]
    )
    data: list[bytes] = []
    for at in range(0, len(names), _AT_ONCE):
        shown = [await _shown(request, name) for name in names[at : at + _AT_ONCE] if ring.named(name) is not None]
        data += map(orjson.dumps, shown)
        await asyncio.sleep(0)  # lets other requests run
    body = b'{"object":"list","data":[' + b",".join(data) + b"]}"
    return web.Response(body=body, content_type="application/json")


async def one(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    key = caller(request)
    if not key.admin and key.name != name:  # somebody else's key is answered like one that does not exist
        raise stored.not_found(name)
    if request.app[ACCOUNTS].keys.named(name) is None and request.app[CURRENT].config.storage.enabled:
        await refresh(request.app)  # another worker may just have created it
    return as_json(await _shown(request, name))


async def create(request: web.Request) -> web.Response:
    """Returns the secret, only this once."""
    check_admin(request)
    static = [key.name for key in request.app[ACCOUNTS].keys.static]
    body = await json_body(request)
    await refresh(request.app)  # another worker may just have created the group
    account, secret = keys.created(body, time.time(), static, _groups(request))
    await request.app[STORE]().write(stored.create, account)
    await refresh(request.app)
    return as_json({**await _shown(request, account.name), "secret": secret}, status=201)


async def change(request: web.Request) -> web.Response:
    check_admin(request)
    name = _stored(request)
    body = await json_body(request)
    if "name" in body:
        raise BadRequest("A key keeps its name: its requests and threads are under it.", param="name")
    await refresh(request.app)
    await request.app[STORE]().write(stored.change, name, keys.checked(body, time.time(), _groups(request)))
    await refresh(request.app)
    return as_json(await _shown(request, name))


async def revoke(request: web.Request) -> web.Response:
    """Its running requests are stopped, here and in all other processes."""
    check_admin(request)
    name = _stored(request)
    if is_from_peer(request):
        forget(request.app, name)
        await others(request)
        return web.Response(status=204)
    await request.app[STORE]().write(stored.revoke, name, time.time())
    await refresh(request.app)
    await others(request)
    return as_json(await _shown(request, name))


async def rotate(request: web.Request) -> web.Response:
    """`{"overlap": "1d"}`: how long the older secret stays valid."""
    check_admin(request)
    name = _stored(request)
    body = await json_body(request)
    now = time.time()
    try:
        until = end(body.get("overlap", _OVERLAP), now)
    except ValueError as error:
        raise BadRequest(f"`overlap`: {error}.", param="overlap", code="invalid_value") from None
    await refresh(request.app)
    account = request.app[ACCOUNTS].keys.account(name)
    if account is None:
        raise stored.not_found(name)
    fresh = keys.Fresh.of(account.id)
    await request.app[STORE]().write(stored.rotate, name, fresh.hash, now, until)
    await refresh(request.app)
    return as_json({**await _shown(request, name), "secret": fresh.secret})


def is_kept(request: web.Request) -> bool:
    """Whether the store may have keys that this process does not know yet."""
    known = request.app[ACCOUNTS].keys.known
    return bool(known.accounts or known.groups)


def _stored(request: web.Request) -> str:
    """The name of a key that can be changed here. Raises GatewayError."""
    name = request.match_info["name"]
    if request.app[ACCOUNTS].keys.is_static(name):
        text = f"The key {name!r} is defined in the configuration file: change it there."
        raise GatewayError(text, status=409, code="key_in_config", param="name")
    return name


def check_admin(request: web.Request) -> None:
    if not caller(request).admin:
        raise GatewayError("Only an administrator's key may do that.", status=403, code="forbidden")


def _groups(request: web.Request) -> Iterable[str]:
    return [*request.app[CURRENT].config.groups, *request.app[ACCOUNTS].keys.groups]


async def json_body(request: web.Request) -> Json:
    raw = await read_json(request, request.app[CURRENT].config.server)
    return await parsed(raw, parse_body) if raw else {}


async def _shown(request: web.Request, name: str) -> Json:
    ring = request.app[ACCOUNTS].keys
    key = ring.named(name)
    if key is None:
        raise stored.not_found(name)
    return {
        **described(key, ring.account(name)),
        "budgets": await standing(request, request.app[ACCOUNTS].budgets(key)),
    }


async def standing(request: web.Request, budgets: Iterable[tuple[str, Budget]]) -> list[Json]:
    """Each key with its account and its present window."""
    bank = request.app[ACCOUNTS].bank
    kept = [(account, budget, bank.key(account, budget)) for account, budget in budgets]
    if not kept:
        return []
    found = await request.app[STORE]().read(spend.spent, [pot for _, _, (pot, _) in kept])
    return [
        {
            "account": account,
            "window": budget.window,
            "limit": budget.limit_e12 / DOLLAR,
            "spent": found[pot][0] / DOLLAR,
            "left": max(0, budget.limit_e12 - found[pot][0]) / DOLLAR,
            "resets_at": ends if ends != math.inf else None,
        }
        for account, budget, (pot, ends) in kept
    ]


def described(key: Key, account: stored.Account | None) -> Json:
    """A key as the API shows it: never its secret."""
    return {
        "object": "key",
        "name": key.name,
        "id": account.id if account is not None else None,
        "kind": "config" if account is None else "store",
        "admin": key.admin,
        "models": list(key.models),
        "group": key.group or None,
        "rpm": key.rpm,
        "tpm": key.tpm,
        "max_parallel": key.max_parallel,
        "budget": [shown(one) for one in key.budget],
        "created_at": account.created_at if account is not None else None,
        "expires_at": key.expires,
        "revoked_at": account.revoked_at if account is not None else None,
        "secrets": len(account.secrets) if account is not None else 1,
    }


def as_json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")
