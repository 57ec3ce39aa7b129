"""`llmproxy check`: validates the configuration, and optionally calls each provider."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from llmproxy.config import Config, Key, Server, load
from llmproxy.config.aliases import doubts, targets

from .serve import has_keys
from .table import table

if TYPE_CHECKING:
    from llmproxy.routing.gateway import Gateway
    from llmproxy.routing.model_catalog import Source

_PATIENCE = 60.0  # seconds for one provider
_OPERATOR = Key("check", "")  # may use every model
_NO_CHAT = re.compile(
    r"embed|whisper|tts|audio|realtime|image|dall-e|sora|moderation|rerank|transcri|veo|aqa|lyria", re.I
)


@dataclass(frozen=True, slots=True)
class Call:
    """The result of a tiny request to one provider; `error` is empty if an answer began."""

    provider: str
    model: str
    milliseconds: float
    error: str = ""


def main(given: argparse.Namespace) -> int:
    config = load(given.config, has_keys=has_keys)
    from llmproxy.routing.gateway import Gateway

    Gateway.build(config)  # checks what only an adapter knows: its options
    source = config.source or "the environment"
    names = ", ".join(provider.name for provider in config.providers) or "none"
    print(f"{source}: ok\nproviders: {names}\naliases: {', '.join(config.aliases) or 'none'}")
    for doubt in (*doubts(config), *_taken(config.server), *old_prices(datetime.now(UTC).date())):
        print(f"warning: {doubt}", file=sys.stderr)
    if problem := storage_problem(config):
        print(f"storage: {problem}", file=sys.stderr)
        return 1
    if not given.call:
        return 0
    calls = asyncio.run(_call_all(config))
    print("\n" + table(("provider", "model", "ok", "ms", "error"), [_row(call) for call in calls]))
    return 1 if any(call.error for call in calls) else 0


def _taken(server: Server) -> Iterator[str]:
    """Whether the port is taken, so that a start would fail. This is normal if a gateway is running."""
    from llmproxy.server.process.socket_options import PortTaken, refuse_taken

    try:
        refuse_taken(server.host, server.port)
    except PortTaken as error:
        yield f"{error} (this is normal if the gateway is running)"


def old_prices(today: date) -> Iterator[str]:
    """Whether the table of prices is too old."""
    from llmproxy.accounts.prices import MAX_AGE_DAYS, age_in_days

    if (age := age_in_days(today)) > MAX_AGE_DAYS:
        yield f"the table of prices is {age} days old: newer versions of llmproxy bring newer prices, [prices] goes before them"


def storage_problem(config: Config) -> str:
    """The problem with the database of threads and usage; empty if there is none, or if storage is off."""
    kept = config.storage
    if not kept.enabled:
        return ""
    from llmproxy.core.errors import StoreError
    from llmproxy.store import Store
    from llmproxy.store.place import is_there, problem_with

    if problem := problem_with(kept.where):
        return problem
    try:
        if is_there(kept.where):
            Store(kept.where).check()
    except StoreError as error:
        return f"{error.message} {error.detail}".rstrip()
    return ""


def _row(call: Call) -> Sequence[str]:
    return call.provider, call.model, "no" if call.error else "yes", f"{call.milliseconds:.0f}", call.error


async def _call_all(config: Config) -> list[Call]:
    from llmproxy.observe.log import log
    from llmproxy.routing.gateway import Gateway

    log.configure(config.logs)
    gateway = Gateway.build(config)
    try:
        return [await _call(gateway, source, config) for source in gateway.catalog.sources]
    finally:
        await gateway.close()


async def _call(gateway: Gateway, source: Source, config: Config) -> Call:
    """Measures the time to the first content chunk, then disconnects."""
    from llmproxy.core.errors import GatewayError

    name, model, error = source.provider.name, "", ""
    began = time.perf_counter()
    try:
        async with asyncio.timeout(_PATIENCE):
            model = await _model(source, config)
            began = time.perf_counter()
            await _first_word(gateway, f"{name}/{model}")
    except GatewayError as failure:
        error = f"{failure.status} {failure.message}"
    except TimeoutError:
        error = f"no answer within {_PATIENCE:.0f} s"
    return Call(name, model, (time.perf_counter() - began) * 1000, error)


async def _first_word(gateway: Gateway, model: str) -> None:
    from llmproxy.core.chat import Chat

    body = {"messages": [{"role": "user", "content": "Say: ok"}], "stream": True}
    chat = Chat({**body, "model": model}, model)
    async with gateway.open(chat, gateway.route(chat, _OPERATOR)):
        pass  # the first content chunk has arrived


async def _model(source: Source, config: Config) -> str:
    """A model to test: one that the configuration names for this provider, else a known one, else one from its list."""
    from llmproxy.core.adapter import KnowsModels, ListsModels
    from llmproxy.core.errors import ModelNotFound
    from llmproxy.routing.model_catalog import fetch

    names = [*source.provider.models, *_named(source.provider.name, config)]
    if not names and isinstance(source.adapter, KnowsModels):
        names = [model.id for model in source.adapter.known_models if not _NO_CHAT.search(model.id)]
    if not names and isinstance(source.adapter, ListsModels):
        names = [model.id for model in await fetch(source) if not _NO_CHAT.search(model.id)]
    if not names:
        raise ModelNotFound("no model to test: list some under `models`")
    return names[0]


def _named(provider: str, config: Config) -> list[str]:
    every = [config.default_model, *(name for alias in config.aliases.values() for name in targets(alias))]
    return [name.partition("/")[2] for name in every if name.startswith(f"{provider}/")]
