"""`llmproxy groups`: creates, changes and deletes groups in the database; a running gateway applies it within a second."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time

from llmproxy.accounts import groups
from llmproxy.accounts.groups import group_of
from llmproxy.config import ELSEWHERE, Config, ConfigError, load
from llmproxy.core.chat import Json
from llmproxy.core.errors import GatewayError
from llmproxy.server.endpoints.groups import described
from llmproxy.server.opened_store import OpenedStores
from llmproxy.store import Store
from llmproxy.store import groups as stored

from .keys import wishes
from .table import table

_HEAD = ("name", "kind", "rpm", "tpm", "parallel", "budget")


def main(given: argparse.Namespace) -> int:
    config = load(given.config, overrides=ELSEWHERE, has_keys=lambda _: True)
    if not config.storage.enabled:
        raise ConfigError("[storage] enabled = false: groups can only stand in the configuration")
    try:
        return asyncio.run(_run(given, config))
    except GatewayError as error:
        print(f"llmproxy: {error}", file=sys.stderr)
        return 1


async def _run(given: argparse.Namespace, config: Config) -> int:
    if given.action != "list" and not given.name:
        raise ConfigError(f"groups {given.action} needs a NAME")
    async with OpenedStores(lambda: config)() as store:
        await _change(given, config, store)
        all_of_them = await _all(config, store)
    if given.action == "list":
        print(json.dumps(all_of_them, indent=2) if given.json else table(_HEAD, [_row(one) for one in all_of_them]))
    elif given.action != "delete":
        found = next((one for one in all_of_them if one["name"] == given.name), None)
        if found is None:
            raise stored.not_found(given.name)
        print(json.dumps(found, indent=2))
    return 0


async def _change(given: argparse.Namespace, config: Config, store: Store) -> None:
    if given.action in ("set", "delete") and given.name in config.groups:
        raise ConfigError(f"the group {given.name!r} stands in the configuration: it is changed there")
    if given.action == "create":
        made = groups.created({"name": given.name, **wishes(given)}, time.time(), config.groups)
        await store.write(stored.create, made)
    elif given.action == "set":
        await store.write(stored.change, given.name, groups.checked(wishes(given)))
    elif given.action == "delete":
        await store.write(stored.delete, given.name)


async def _all(config: Config, store: Store) -> list[Json]:
    rows = [one for one in await store.read(stored.known) if one.name not in config.groups]
    return [*(described(one, None) for one in config.groups.values()), *(described(group_of(one), one) for one in rows)]


def _row(one: Json) -> tuple[str, ...]:
    counts = [str(one[name]) if one[name] else "" for name in ("rpm", "tpm", "max_parallel")]
    return one["name"], one["kind"], *counts, ",".join(one["budget"])
