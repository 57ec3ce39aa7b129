"""The start banner: providers, addresses, and a curl command to paste."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from llmproxy import __version__
from llmproxy.config import Config, Provider
from llmproxy.observe.log import log

if TYPE_CHECKING:
    from llmproxy.routing.gateway import Gateway


def banner(address: str, gateway: Gateway) -> None:
    """The full banner on a terminal, otherwise one line in the log's format; both on stderr."""
    if not log.is_readable:
        message = next(short(address, gateway))
        log.always("listening", message=message, url=f"{address}/v1", providers=list(gateway.stacks))
        return
    lines = full(address, gateway) if sys.stderr.isatty() else short(address, gateway)
    print("\n".join(lines), file=sys.stderr, flush=True)


def short(address: str, gateway: Gateway) -> Iterator[str]:
    names = ", ".join(provider.name for provider in gateway.config.providers) or "none"
    yield f"llmproxy {__version__} listening on {address}/v1 (providers: {names})"


def full(address: str, gateway: Gateway) -> Iterator[str]:
    """At most 80 columns, if names and folders are short enough."""
    config = gateway.config
    yield ""
    yield f"  llmproxy {__version__}"
    yield ""
    for number, provider in enumerate(config.providers):
        yield f"  {'' if number else 'providers':<10} {provider.name:<11} {_origin(provider)}".rstrip()
    if not config.providers:
        yield "  providers  none: set a key such as OPENAI_API_KEY, or run `llmproxy init`"
    for name, value in _facts(address, config):
        yield f"  {name:<10} {value}"
    yield ""
    yield from trial(address, config, model_to_try(gateway))


def _origin(provider: Provider) -> str:
    """Where a provider's settings come from."""
    return provider.source or provider.base_url or "built in"


def _facts(address: str, config: Config) -> Iterator[tuple[str, str]]:
    if config.aliases:
        yield "aliases", f"{len(config.aliases)}"
    yield "page", _page(address, config)
    yield "base_url", f"{address}/v1"
    yield "metrics", f"{address}/metrics"
    yield (
        "keys",
        f"{len(config.server.keys)} in the configuration"
        if config.server.keys
        else "none: only this machine can connect",
    )
    yield "data", str(config.storage.dir) if config.storage.enabled else "nothing is stored"
    yield "config", config.source or "the environment (no llmproxy.toml here)"
    yield "stop", "Ctrl-C"


def _page(address: str, config: Config) -> str:
    from llmproxy.server.endpoints.page import FOLDER

    if not config.server.page:
        return "off ([server] page = false)"
    return f"{address}/" if (FOLDER / "index.html").is_file() else "not built (make ui-build, with Node 20)"


def trial(address: str, config: Config, model: str) -> Iterator[str]:
    """A curl command that works when pasted."""
    if not model:
        return
    yield f"  Try it ({model}):"
    yield ""
    yield f"  curl -sN {address}/v1/chat/completions \\"
    if config.server.keys:
        yield '    -H "Authorization: Bearer $LLMPROXY_KEY" \\'
    yield "    -H 'Content-Type: application/json' \\"
    yield f"""    -d '{{"model": "{model}", "stream": true,"""
    yield """         "messages": [{"role": "user", "content": "Hello!"}]}'"""
    yield ""


def model_to_try(gateway: Gateway) -> str:
    """The default model; else a model that needs no key; else the first known model; empty if there is none."""
    config = gateway.config
    if config.default_model:
        return config.default_model
    offered = [f"{provider}/{model.id}" for provider, model in gateway.catalog.offer.models]
    keyless = {provider.name for provider in config.providers if not provider.api_key and not provider.base_url}
    free = (name for name in offered if name.partition("/")[0] in keyless)
    return next(free, next(iter(offered), ""))
