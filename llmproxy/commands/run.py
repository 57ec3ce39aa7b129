"""`llmproxy run -- CMD`: runs a command with its own gateway, key, budget and receipt, but without the keys of providers."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

from llmproxy.config import ELSEWHERE, Budget, Config, ConfigError, Key, load
from llmproxy.config.quotas import budgets
from llmproxy.config.values import Logs
from llmproxy.core import adapter_registry
from llmproxy.observe.log import log
from llmproxy.routing.gateway import Gateway
from llmproxy.server.context import ACCOUNTS, OBSERVER
from llmproxy.server.process.process import Process
from llmproxy.server.process.signals import on_signal

NOT_FOUND, NOT_EXECUTABLE = 127, 126
_FORWARDED = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)
)  # those that the system has
_E12 = 10**12
_OURS = ("LLMPROXY_KEY", "LLMPROXY_KEYS", "ANTHROPIC_API_KEY", "OPENAI_ORGANIZATION", "OPENAI_PROJECT")


def main(given: argparse.Namespace) -> int:
    command = given.argv[1:] if given.argv[:1] == ["--"] else given.argv
    if not command:
        raise ConfigError("run needs a command: llmproxy run --budget 2 -- CMD ...")
    key = _key(given)
    config = _config(load(given.config, overrides={"host": "127.0.0.1", **ELSEWHERE}), key)
    log.configure(config.logs)
    return asyncio.run(_run(given, config, key, command))


def _key(given: argparse.Namespace) -> Key:
    try:
        budget = _budget(given.budget) if given.budget else ()
    except ValueError as error:
        raise ConfigError(f"--budget: {error}") from None
    models = tuple(one.strip() for one in given.models.split(",")) if given.models else ("*",)
    name = f"run-{secrets.token_hex(4)}"
    return Key(name, f"llmp_{secrets.token_hex(6)}_{secrets.token_urlsafe(30)}", models=models, budget=budget)


def _budget(text: str) -> tuple[Budget, ...]:
    """Dollars in total, if no window is given."""
    return budgets(text if "/" in text else f"{text}/total")


def _config(config: Config, key: Key) -> Config:
    server = replace(
        config.server, port=0, workers=1, page=False, discover=False, keys=(key,), drain_delay=0.0, drain_timeout=0.0
    )
    return replace(config, server=server, logs=Logs(level="error", format=config.logs.format), source="")


async def _run(given: argparse.Namespace, config: Config, key: Key, command: list[str]) -> int:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def announced(address: str, gateway: Gateway) -> None:
        ready.set_result(address)

    process = Process(config, lambda: config, announced)
    serving = asyncio.get_running_loop().create_task(process.serve())
    await asyncio.wait((serving, ready), return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        await serving
        return 1
    accounts = process.app[ACCOUNTS]
    accounts.requests_left = given.max_requests
    try:
        return await _child(command, environment(os.environ, config, ready.result(), key.secret))
    finally:
        process.stop()
        await serving
        print(receipt(process, key), file=sys.stderr)


async def _child(command: list[str], environ: Mapping[str, str]) -> int:
    signals = _Signals()
    try:
        signals.child = child = await asyncio.create_subprocess_exec(*command, env=dict(environ))
    except FileNotFoundError:
        print(f"llmproxy: command not found: {command[0]!r}", file=sys.stderr)
        return NOT_FOUND
    except PermissionError:
        print(f"llmproxy: {command[0]!r} cannot be run", file=sys.stderr)
        return NOT_EXECUTABLE
    signals.deliver()
    code = await child.wait()
    return code if code >= 0 else 128 - code


class _Signals:
    """Passes signals on to the command, instead of the gateway's own handling. Signals that come before its start are passed
    on after it.
    """

    def __init__(self) -> None:
        self.child: asyncio.subprocess.Process | None = None
        self._waiting: list[signal.Signals] = []
        loop = asyncio.get_running_loop()
        for number in (*_FORWARDED, signal.SIGINT):
            on_signal(loop, number, partial(self._take, number))

    def _take(self, number: signal.Signals) -> None:
        if number == signal.SIGINT and sys.stdin.isatty():
            return  # the terminal sends Ctrl-C to the command itself
        self._waiting.append(number)
        self.deliver()

    def deliver(self) -> None:
        if self.child is not None:
            for number in self._waiting:
                with suppress(ProcessLookupError):
                    self.child.send_signal(number)
            self._waiting.clear()


def environment(environ: Mapping[str, str], config: Config, address: str, secret: str) -> dict[str, str]:
    """The command's environment: without any provider's key, and with ours in the variables that clients read."""
    hidden = {provider.api_key for provider in config.providers if provider.api_key}
    named = {name for adapter in adapter_registry.names() for name in _variables(adapter)}
    kept = {
        name: value
        for name, value in environ.items()
        if name not in named and name not in _OURS and not any(one in value for one in hidden)
    }
    return {
        **kept,
        **_straight(kept),
        "OPENAI_BASE_URL": f"{address}/v1",
        "OPENAI_API_BASE": f"{address}/v1",
        "OPENAI_API_KEY": secret,
        "ANTHROPIC_BASE_URL": address,
        "ANTHROPIC_AUTH_TOKEN": secret,
        "GOOGLE_GEMINI_BASE_URL": address,
        "GEMINI_API_KEY": secret,
        "LLMPROXY_URL": address,
        "LLMPROXY_KEY": secret,
    }


def _straight(environ: Mapping[str, str]) -> dict[str, str]:
    """The command connects to the gateway without the environment's proxies."""
    if not any(name.lower().endswith("_proxy") for name in environ):
        return {}
    exempt = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    return dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(filter(None, (exempt, "127.0.0.1", "localhost"))))


def _variables(adapter: str) -> tuple[str, ...]:
    declared = adapter_registry.load(adapter).environment
    return (*declared.keys, *declared.base_urls)


def receipt(process: Process, key: Key) -> str:
    """What the command used, its cost, and what was refused."""
    app = process.app
    metrics, accounts = app[OBSERVER].metrics, app[ACCOUNTS]
    tokens: dict[str, float] = {}
    for (_, _, name), count in metrics.distributions.counters["llmproxy_tokens"].items():
        tokens[name] = tokens.get(name, 0) + count
    cost = sum(metrics.distributions.counters["llmproxy_cost_dollars"].values())
    unpriced = sum(metrics.distributions.counters["llmproxy_unpriced_requests"].values())
    requests = sum(totals.requests for totals in metrics.totals.values())
    models = sorted({f"{provider}/{model}" for provider, model, _ in metrics.totals if provider})
    out = sum(tokens.get(name, 0) for name in ("output", "audio_out", "image_out"))
    given_in = sum(tokens.values()) - out - tokens.get("reasoning", 0) - tokens.get("calls", 0)
    limit = f" of ${key.budget[0].limit_e12 / _E12:g}" if key.budget else ""
    lines = [
        f"llmproxy run ({key.name}): {requests} requests, {given_in:,.0f} tokens in, {out:,.0f} out, ${cost:.6f}{limit}",
        *([f"  models: {', '.join(models)}"] if models else []),
        *([f"  without a known price: {unpriced:.0f} requests"] if unpriced else []),
    ]
    refused = {"budget": accounts.bank.refused + accounts.bank.ended, "limits": accounts.rate_refusals}
    counts = ", ".join(f"{count} by {name}" for name, count in refused.items() if count)
    return "\n".join([*lines, *([f"  refused or stopped: {counts}"] if counts else [])])
