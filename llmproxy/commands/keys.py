"""`llmproxy keys`: creates, changes and revokes keys in the database; a running gateway applies it within a second."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

from llmproxy.accounts import keys
from llmproxy.accounts.keys import Fresh, Keyring
from llmproxy.config import ELSEWHERE, Config, ConfigError, load
from llmproxy.config.quotas import end
from llmproxy.core.chat import Json
from llmproxy.core.errors import GatewayError
from llmproxy.server.endpoints.keys import described
from llmproxy.server.opened_store import OpenedStores
from llmproxy.store import Store, groups
from llmproxy.store import accounts as stored

from .table import table

_HEAD = ("name", "kind", "models", "group", "rpm", "tpm", "parallel", "budget", "expires", "")


def main(given: argparse.Namespace) -> int:
    config = load(given.config, overrides=ELSEWHERE, has_keys=lambda _: True)
    if not config.storage.enabled:
        raise ConfigError("[storage] enabled = false: keys can only stand in the configuration")
    try:
        return asyncio.run(_run(given, config))
    except GatewayError as error:
        print(f"llmproxy: {error}", file=sys.stderr)
        return 1


async def _run(given: argparse.Namespace, config: Config) -> int:
    async with OpenedStores(lambda: config)() as store:
        return await _ACTIONS[given.action](given, config, store)


async def _create(given: argparse.Namespace, config: Config, store: Store) -> int:
    static = [key.name for key in config.server.keys]
    body = {"name": _name(given), **wishes(given)}
    account, secret = keys.created(body, time.time(), static, await _groups(config, store))
    await store.write(stored.create, account)
    _tell(secret)
    return 0


async def _set(given: argparse.Namespace, config: Config, store: Store) -> int:
    changes = keys.checked(wishes(given), time.time(), await _groups(config, store))
    await store.write(stored.change, _name(given), changes)
    return await _show(given, config, store)


async def _groups(config: Config, store: Store) -> list[str]:
    return [*config.groups, *(one.name for one in await store.read(groups.known))]


async def _list(given: argparse.Namespace, config: Config, store: Store) -> int:
    ring = Keyring(config.server.keys, await store.read(stored.known))
    shown = [described(key, None) for key in ring.static]
    shown += [described(keys.key_of(one), one) for one in ring.known.accounts]
    print(json.dumps(shown, indent=2) if given.json else table(_HEAD, [_row(one) for one in shown]))
    return 0


async def _show(given: argparse.Namespace, config: Config, store: Store) -> int:
    ring = Keyring(config.server.keys, await store.read(stored.known))
    key = ring.named(_name(given))
    if key is None:
        raise stored.not_found(given.name)
    print(json.dumps(described(key, ring.account(given.name)), indent=2))
    return 0


async def _revoke(given: argparse.Namespace, config: Config, store: Store) -> int:
    await store.write(stored.revoke, _name(given), time.time())
    print(f"{given.name} is revoked; a running gateway stops its requests within a second", file=sys.stderr)
    return 0


async def _rotate(given: argparse.Namespace, config: Config, store: Store) -> int:
    now = time.time()
    ring = Keyring(config.server.keys, await store.read(stored.known))
    account = ring.account(_name(given))
    if account is None:
        raise stored.not_found(given.name)
    try:
        until = end(given.overlap, now)
    except ValueError as error:
        raise ConfigError(f"--overlap: {error}") from None
    fresh = Fresh.of(account.id)
    await store.write(stored.rotate, given.name, fresh.hash, now, until)
    _tell(fresh.secret)
    return 0


_ACTIONS = {"create": _create, "set": _set, "list": _list, "show": _show, "revoke": _revoke, "rotate": _rotate}


def _name(given: argparse.Namespace) -> str:
    if not given.name:
        raise ConfigError(f"keys {given.action} needs a NAME")
    return str(given.name)


def wishes(given: argparse.Namespace) -> Json:
    """What was said on the command line; `none` takes a limit away."""
    said: Json = {name: _count(getattr(given, name)) for name in ("rpm", "tpm", "max_parallel") if getattr(given, name)}
    for name in ("budget", "group", "expires"):
        if (value := getattr(given, name, None)) is not None:
            said[name] = ("" if name == "group" else None) if value == "none" else value
    if models := getattr(given, "models", None):
        said["models"] = [one.strip() for one in models.split(",")]
    if (admin := getattr(given, "admin", None)) is not None:
        said["admin"] = admin
    return said


def _count(text: str) -> Any:
    return None if text == "none" else int(text) if text.isdecimal() else text


def _tell(secret: str) -> None:
    """The secret alone on standard output, for `$(llmproxy keys create ...)`."""
    print(secret)
    print("Keep it: it is shown this once.", file=sys.stderr)


def _row(one: Json) -> tuple[str, ...]:
    counts = [str(one[name]) if one[name] else "" for name in ("rpm", "tpm", "max_parallel")]
    state = "revoked" if one["revoked_at"] else "admin" if one["admin"] else ""
    models = "" if one["models"] == ["*"] else ",".join(one["models"])
    budget, expires = ",".join(one["budget"]), _date(one["expires_at"])
    return one["name"], one["kind"], models, one["group"] or "", *counts, budget, expires, state


def _date(at: float | None) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat() if at is not None else ""
