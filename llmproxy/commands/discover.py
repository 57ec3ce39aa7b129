"""Model servers on this machine that answer at their usual address, found without anybody waiting for the search."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from llmproxy import catalog
from llmproxy.config import Config, Provider

# Adapter: where its server listens unless it was told otherwise (llama.cpp moved from 8080 to 9931 in late 2026).
PLACES: Mapping[str, tuple[str, ...]] = {"llamacpp": ("127.0.0.1:8080", "127.0.0.1:9931")}
# Adapter: what only its server says when asked for its models; the second while it still loads one.
SIGNS: Mapping[str, tuple[bytes, ...]] = {"llamacpp": (b'"llamacpp"', b"Loading model")}

_PATIENCE = 0.3  # seconds
_ENOUGH = 64 * 1024  # bytes of an answer that are looked at


class Search:
    """Runs in threads of its own from the moment it is made. What has not answered by the time one asks is not there."""

    def __init__(self, config: Config) -> None:
        self._found: dict[str, Provider] = {}
        for adapter, place in _candidates(config):
            threading.Thread(target=self._look, args=(adapter, place), daemon=True).start()

    def _look(self, adapter: str, place: str) -> None:
        if _answers(adapter, place):
            name = adapter
            self._found.setdefault(name, Provider(name, adapter, f"http://{place}", source=f"answers at {place}"))

    def added_to(self, config: Config) -> Config:
        """The config with what was found until now, unless it has that adapter itself."""
        own = {provider.adapter for provider in config.providers} | {provider.name for provider in config.providers}
        new = tuple(provider for name, provider in list(self._found.items()) if name not in own)
        return replace(config, providers=(*new, *config.providers)) if new else config


def _candidates(config: Config) -> Iterator[tuple[str, str]]:
    """(adapter, host:port) of what is worth asking: nothing that is configured already, under whatever name."""
    if not config.server.discover:
        return
    adapters = {provider.adapter for provider in config.providers}
    taken = {urlsplit(provider.base_url).netloc.replace("localhost", "127.0.0.1") for provider in config.providers}
    for adapter, places in PLACES.items():
        if adapter in catalog.names() and adapter not in adapters | config.switched_off:
            yield from ((adapter, place) for place in places if place not in taken)


def _answers(adapter: str, place: str) -> bool:
    asking = http.client.HTTPConnection(place, timeout=_PATIENCE)
    try:
        asking.request("GET", "/v1/models")
        said = asking.getresponse().read(_ENOUGH)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asking.close()
    return any(sign in said for sign in SIGNS[adapter])
