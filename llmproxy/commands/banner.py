"""What the operator reads once the gateway listens: what was found, where it is, and a line to try it with."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from llmproxy import __version__
from llmproxy.config import Config
from llmproxy.observe.log import log

if TYPE_CHECKING:
    from llmproxy.routing.gateway import Gateway


def banner(address: str, gateway: Gateway) -> None:
    """On a terminal the whole picture, elsewhere one line, in the log's form. To stderr, where the log goes."""
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
    from llmproxy.server.endpoints.page import FOLDER

    config = gateway.config
    page = f"{address}/" if (FOLDER / "index.html").is_file() else "not built (make ui-build, with Node 20)"
    yield ""
    yield f"  llmproxy {__version__}"
    yield ""
    for number, provider in enumerate(config.providers):
        note = f"  {provider.source}" if provider.source else ""
        yield f"  {'providers' if number == 0 else '':<10} {provider.name:<11}{note}".rstrip()
    if not config.providers:
        yield "  providers  none: set a key such as OPENAI_API_KEY, or write llmproxy.toml"
    yield f"  {'page':<10} {page}" if config.server.page else f"  {'page':<10} switched off"
    yield f"  {'base_url':<10} {address}/v1"
    yield f"  {'config':<10} {config.source or 'the environment (no llmproxy.toml here)'}"
    yield ""
    yield from trial(address, config, model_to_try(gateway))


def trial(address: str, config: Config, model: str) -> Iterator[str]:
    """A curl line that works when pasted."""
    if not model:
        return
    key = ' -H "Authorization: Bearer $LLMPROXY_KEY"' if config.server.keys else ""
    body = f'{{"model": "{model}", "stream": true, "messages": [{{"role": "user", "content": "Hello!"}}]}}'
    yield f"  Try it ({model}):"
    yield ""
    yield f"  curl -sN {address}/v1/chat/completions -H 'Content-Type: application/json'{key} -d '{body}'"
    yield ""


def model_to_try(gateway: Gateway) -> str:
    """The default; else what needs no key; else the first model known; empty if none is."""
    config = gateway.config
    if config.default_model:
        return config.default_model
    offered = [f"{provider}/{model.id}" for provider, model in gateway.catalog.models()]
    keyless = {provider.name for provider in config.providers if not provider.api_key and not provider.base_url}
    free = (name for name in offered if name.partition("/")[0] in keyless)
    return next(free, next(iter(offered), ""))
