"""`llmproxy keys`: creates, changes and revokes keys in the database; a running gateway applies changes within a second."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime

from llmproxy.accounts import keys
from llmproxy.accounts.keys import Fresh, Keyring
from llmproxy.config import Config, ConfigError
from llmproxy.config.quotas import end
from llmproxy.core.chat import Json
from llmproxy.server.endpoints.keys import described
from llmproxy.store import Store, groups
from llmproxy.store import accounts as stored

from .stored_accounts import act_on, counts_of, given_limits, print_list

_HEAD = ("name", "kind", "models", "group", "rpm", "tpm", "parallel", "budget", "expires", "")


def main(given: argparse.Namespace) -> int:
    return act_on("keys", given, _ACTIONS[given.action])


async def _create(given: argparse.Namespace, config: Config, store: Store) -> int:
    static = [key.name for key in config.server.keys]
    body = {"name": given.name, **_given_settings(given)}
    account, secret = keys.created(body, time.time(), static, await _groups(config, store))
    await store.write(stored.create, account)
    _print_secret(secret)
    return 0


async def _set(given: argparse.Namespace, config: Config, store: Store) -> int:
    changes = keys.checked(_given_settings(given), time.time(), await _groups(config, store))
    await store.write(stored.change, given.name, changes)
    return await _show(given, config, store)


async def _groups(config: Config, store: Store) -> list[str]:
    return [*config.groups, *(one.name for one in await store.read(groups.known))]


async def _list(given: argparse.Namespace, config: Config, store: Store) -> int:
    ring = Keyring(config.server.keys, await store.read(stored.known))
    shown = [described(key, None) for key in ring.static]
    shown += [described(keys.key_of(one), one) for one in ring.known.accounts]
    print_list(given, _HEAD, shown, _row)
    return 0


async def _show(given: argparse.Namespace, config: Config, store: Store) -> int:
    ring = Keyring(config.server.keys, await store.read(stored.known))
    key = ring.named(given.name)
    if key is None:
        raise stored.not_found(given.name)
    print(json.dumps(described(key, ring.account(given.name)), indent=2))
    return 0


async def _revoke(given: argparse.Namespace, config: Config, store: Store) -> int:
    await store.write(stored.revoke, given.name, time.time())
    print(f"{given.name} is revoked; a running gateway stops its requests within a second", file=sys.stderr)
    return 0


async def _rotate(given: argparse.Namespace, config: Config, store: Store) -> int:
    now = time.time()
    ring = Keyring(config.server.keys, await store.read(stored.known))
    account = ring.account(given.name)
    if account is None:
        raise stored.not_found(given.name)
    try:
        until = end(given.overlap, now)
    except ValueError as error:
        raise ConfigError(f"--overlap: {error}") from None
    fresh = Fresh.of(account.id)
    await store.write(stored.rotate, given.name, fresh.hash, now, until)
    _print_secret(fresh.secret)
    return 0


_ACTIONS = {"create": _create, "set": _set, "list": _list, "show": _show, "revoke": _revoke, "rotate": _rotate}


def _given_settings(given: argparse.Namespace) -> Json:
    """The options of the command line; `none` removes a limit."""
    settings = given_limits(given)
    for name, none in (("group", ""), ("expires", None)):
        if (value := getattr(given, name)) is not None:
            settings[name] = none if value == "none" else value
    if given.models:
        settings["models"] = [one.strip() for one in given.models.split(",")]
    if given.admin is not None:
        settings["admin"] = given.admin
    return settings


def _print_secret(secret: str) -> None:
    """Prints only the secret on standard output, for `$(llmproxy keys create ...)`."""
    print(secret)
    print("Save it now: it is not shown again.", file=sys.stderr)


def _row(one: Json) -> tuple[str, ...]:
    state = "revoked" if one["revoked_at"] else "admin" if one["admin"] else ""
    models = "" if one["models"] == ["*"] else ",".join(one["models"])
    budget, expires = ",".join(one["budget"]), _date(one["expires_at"])
    return one["name"], one["kind"], models, one["group"] or "", *counts_of(one), budget, expires, state


def _date(at: float | None) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat() if at is not None else ""
