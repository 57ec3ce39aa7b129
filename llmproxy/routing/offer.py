"""Index of all offered models, and the providers of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from llmproxy.core.adapter import Model

from .permits import may_use


class Offer:
    """An immutable list of (provider, model) with an index."""

    def __init__(self, models: Iterable[tuple[str, Model]] = ()) -> None:
        self.models = tuple(models)
        self._providers: dict[str, list[str]] = {}  # by model name
        self._models: dict[str, list[str]] = {}  # by provider name
        for provider, model in self.models:
            self._providers.setdefault(model.id, []).append(provider)
            self._models.setdefault(provider, []).append(f"{provider}/{model.id}")
        self._some = lru_cache(maxsize=1024)(self._offers_some)

    @property
    def names(self) -> Iterable[str]:
        """Every model's name, each once."""
        return self._providers.keys()

    def serves(self, model: str) -> Sequence[str]:
        """The providers that offer a model of this name, in the list's order."""
        return self._providers.get(model, [])

    def offers_some(self, provider: str, patterns: tuple[str, ...]) -> bool:
        """Whether the patterns of a key match any model of this provider."""
        return self._some(provider, patterns)

    def _offers_some(self, provider: str, patterns: tuple[str, ...]) -> bool:
        return any(may_use(patterns, name) for name in self._models.get(provider, ()))
