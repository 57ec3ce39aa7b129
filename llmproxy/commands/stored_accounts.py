"""What `llmproxy keys` and `llmproxy groups` share: both act on the database beside a gateway that may be running."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from llmproxy.accounts.members import COUNTS
from llmproxy.config import ELSEWHERE, Config, ConfigError, load
from llmproxy.core.chat import Json
from llmproxy.core.errors import GatewayError
from llmproxy.server.opened_store import OpenedStores
from llmproxy.store import Store

from .table import table

Act = Callable[[argparse.Namespace, Config, Store], Coroutine[Any, Any, int]]


def act_on(what: str, given: argparse.Namespace, act: Act) -> int:
    """Opens the database of the configuration for one action, and gives the exit code. what: `keys` or `groups`.

    Raises ConfigError where nothing is kept, or a NAME is missing.
    """
    config = load(given.config, overrides=ELSEWHERE, has_keys=lambda _: True)
    if not config.storage.enabled:
        raise ConfigError(f"[storage] enabled = false: {what} can only stand in the configuration")
    if given.action != "list" and not given.name:
        raise ConfigError(f"{what} {given.action} needs a NAME")
    try:
        return asyncio.run(_opened(given, config, act))
    except GatewayError as error:
        print(f"llmproxy: {error}", file=sys.stderr)
        return 1


async def _opened(given: argparse.Namespace, config: Config, act: Act) -> int:
    async with OpenedStores(lambda: config)() as store:
        return await act(given, config, store)


def given_limits(given: argparse.Namespace) -> Json:
    """The limits on the command line; `none` takes one away."""
    limits: Json = {name: _count(text) for name in COUNTS if (text := getattr(given, name))}
    if given.budget is not None:
        limits["budget"] = None if given.budget == "none" else given.budget
    return limits


def _count(text: str) -> Any:
    return None if text == "none" else int(text) if text.isdecimal() else text


def print_list(
    given: argparse.Namespace, head: Sequence[str], rows: list[Json], row: Callable[[Json], Sequence[str]]
) -> None:
    """As a table, or as JSON where that was asked for."""
    print(json.dumps(rows, indent=2) if given.json else table(head, [row(one) for one in rows]))


def counts_of(one: Json) -> list[str]:
    """The cells of the limits that are numbers."""
    return [str(one[name] or "") for name in COUNTS]
