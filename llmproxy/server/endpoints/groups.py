"""/api/groups: administrators create, change and delete groups; everybody sees the group of their own key."""

from __future__ import annotations

import time
from collections import Counter

from aiohttp import web

from llmproxy.accounts import groups
from llmproxy.accounts.keys import Keyring
from llmproxy.config import Group
from llmproxy.config.quotas import shown
from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest, GatewayError
from llmproxy.store import groups as stored
from llmproxy.store.groups import GroupRow

from ..account_watch import refresh
from ..context import ACCOUNTS, CURRENT, STORE, caller
from .keys import as_json, check_admin, is_kept, json_body, standing


async def listed(request: web.Request) -> web.Response:
    """All groups for an administrator, otherwise the caller's own."""
    if is_kept(request):
        await refresh(request.app)
    key, found = caller(request), _all(request)
    counts = members(request.app[ACCOUNTS].keys)
    data = [await _shown(request, one, counts) for one in found.values() if key.admin or one.name == key.group]
    return as_json({"object": "list", "data": data})


async def one(request: web.Request) -> web.Response:
    name, key = request.match_info["name"], caller(request)
    if name not in _all(request) and request.app[CURRENT].config.storage.enabled:
        await refresh(request.app)  # another worker may just have created it
    group = _all(request).get(name) if key.admin or key.group == name else None
    if group is None:
        raise stored.not_found(name)
    return as_json(await _shown(request, group, members(request.app[ACCOUNTS].keys)))


async def create(request: web.Request) -> web.Response:
    check_admin(request)
    made = groups.created(await json_body(request), time.time(), request.app[CURRENT].config.groups)
    await request.app[STORE]().write(stored.create, made)
    return as_json(await _fresh(request, made.name), status=201)


async def change(request: web.Request) -> web.Response:
    check_admin(request)
    name, body = _stored(request), await json_body(request)
    if "name" in body:
        raise BadRequest("A group keeps its name: what it spent is under it.", param="name")
    await request.app[STORE]().write(stored.change, name, groups.checked(body))
    return as_json(await _fresh(request, name))


async def delete(request: web.Request) -> web.Response:
    """Deletes a group without keys."""
    check_admin(request)
    name = _stored(request)
    await request.app[STORE]().write(stored.delete, name)
    await refresh(request.app)
    return as_json({"object": "group", "name": name, "deleted": True})


def _all(request: web.Request) -> dict[str, Group]:
    """The groups of the configuration, and those created at run time."""
    return {**request.app[ACCOUNTS].keys.groups, **request.app[CURRENT].config.groups}


def _stored(request: web.Request) -> str:
    """The name of a group that can be changed here. Raises GatewayError."""
    name = request.match_info["name"]
    if name in request.app[CURRENT].config.groups:
        text = f"The group {name!r} is defined in the configuration file: change it there."
        raise GatewayError(text, status=409, code="group_in_config", param="name")
    return name


async def _fresh(request: web.Request, name: str) -> Json:
    await refresh(request.app)
    group = _all(request).get(name)
    if group is None:
        raise stored.not_found(name)
    return await _shown(request, group, members(request.app[ACCOUNTS].keys))


def members(ring: Keyring) -> Counter[str]:
    """The number of keys in each group."""
    stored = (one.group for one in ring.known.accounts if one.revoked_at is None)
    return Counter([*(key.group for key in ring.static), *stored])


async def _shown(request: web.Request, group: Group, counts: Counter[str]) -> Json:
    accounts = request.app[ACCOUNTS]
    configured = group.name in request.app[CURRENT].config.groups
    row = None if configured else next((one for one in accounts.keys.known.groups if one.name == group.name), None)
    return {
        **described(group, row),
        "keys": counts[group.name],
        "budgets": await standing(request, accounts.group_budgets(group)),
    }


def described(group: Group, row: GroupRow | None) -> Json:
    """A group as the API shows it. row: set if it was created at run time."""
    return {
        "object": "group",
        "name": group.name,
        "kind": "config" if row is None else "store",
        "rpm": group.rpm,
        "tpm": group.tpm,
        "max_parallel": group.max_parallel,
        "budget": [shown(one) for one in group.budget],
        "created_at": row.created_at if row is not None else None,
    }
