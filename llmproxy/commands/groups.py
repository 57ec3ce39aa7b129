"""`llmproxy groups`: creates, changes and deletes groups in the database; a running gateway applies changes within a second."""

from __future__ import annotations

import argparse
import json
import time

from llmproxy.accounts import groups
from llmproxy.accounts.groups import group_of
from llmproxy.config import Config, ConfigError
from llmproxy.core.chat import Json
from llmproxy.server.endpoints.groups import described
from llmproxy.store import Store
from llmproxy.store import groups as stored

from .stored_accounts import act_on, counts_of, given_limits, print_list

_HEAD = ("name", "kind", "rpm", "tpm", "parallel", "budget")


def main(given: argparse.Namespace) -> int:
    return act_on("groups", given, _act)


async def _act(given: argparse.Namespace, config: Config, store: Store) -> int:
    await _change(given, config, store)
    all_of_them = await _all(config, store)
    if given.action == "list":
        print_list(given, _HEAD, all_of_them, _row)
    elif given.action != "delete":
        found = next((one for one in all_of_them if one["name"] == given.name), None)
        if found is None:
            raise stored.not_found(given.name)
        print(json.dumps(found, indent=2))
    return 0


async def _change(given: argparse.Namespace, config: Config, store: Store) -> None:
    if given.action in ("set", "delete") and given.name in config.groups:
        raise ConfigError(f"the group {given.name!r} is defined in the configuration file: change it there")
    if given.action == "create":
        made = groups.created({"name": given.name, **given_limits(given)}, time.time(), config.groups)
        await store.write(stored.create, made)
    elif given.action == "set":
        await store.write(stored.change, given.name, groups.checked(given_limits(given)))
    elif given.action == "delete":
        await store.write(stored.delete, given.name)


async def _all(config: Config, store: Store) -> list[Json]:
    rows = [one for one in await store.read(stored.known) if one.name not in config.groups]
    return [*(described(one, None) for one in config.groups.values()), *(described(group_of(one), one) for one in rows)]


def _row(one: Json) -> tuple[str, ...]:
    return one["name"], one["kind"], *counts_of(one), ",".join(one["budget"])
