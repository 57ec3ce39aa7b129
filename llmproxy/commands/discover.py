"""Discovers model servers at their usual local addresses, in the background."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from llmproxy.config import Config, Provider
from llmproxy.core import adapter_registry
from llmproxy.core.adapter import Local

_PATIENCE = 0.3  # seconds
_ENOUGH = 64 * 1024  # bytes of an answer that are read


class Search:
    """Searches in threads of its own, from its creation. A server that has not answered when the result is needed is not found."""

    def __init__(self, config: Config) -> None:
        self._found: dict[str, Provider] = {}
        for adapter, local in _candidates(config):
            for place in local.places:
                threading.Thread(target=self._look, args=(adapter, place, local.signs), daemon=True).start()

    def _look(self, adapter: str, place: str, signs: tuple[bytes, ...]) -> None:
        if _answers(place, signs):
            name = adapter
            self._found.setdefault(name, Provider(name, adapter, f"http://{place}", source=f"answers at {place}"))

    def added_to(self, config: Config) -> Config:
        """The configuration with the servers found so far, unless it already has the adapter."""
        own = {provider.adapter for provider in config.providers} | {provider.name for provider in config.providers}
        new = tuple(provider for name, provider in list(self._found.items()) if name not in own)
        return replace(config, providers=(*new, *config.providers)) if new else config


def _candidates(config: Config) -> Iterator[tuple[str, Local]]:
    """The adapters and addresses to try: without servers that are already configured, under any name."""
    if not config.server.discover:
        return
    settled = {provider.adapter for provider in config.providers} | config.switched_off
    taken = {urlsplit(provider.base_url).netloc.replace("localhost", "127.0.0.1") for provider in config.providers}
    for adapter in sorted(set(adapter_registry.names()) - settled):
        if local := adapter_registry.load(adapter).environment.local:
            yield adapter, Local(tuple(place for place in local.places if place not in taken), local.signs)


def _answers(place: str, signs: tuple[bytes, ...]) -> bool:
    asking = http.client.HTTPConnection(place, timeout=_PATIENCE)
    try:
        asking.request("GET", "/v1/models")
        body = asking.getresponse().read(_ENOUGH)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asking.close()
    return any(sign in body for sign in signs)
