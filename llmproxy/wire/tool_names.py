"""Maps tool names to names that a provider accepts, deterministically, and back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2s
from typing import ClassVar


class ToolNames:
    """The tool names of one request; names that the provider refuses are replaced.

    A subclass has the provider's rule: `longest` in characters, `allowed`, which a whole name must match, and `refused`, the
    characters that are replaced by `_`.
    """

    longest: ClassVar[int]
    allowed: ClassVar[re.Pattern[str]]
    refused: ClassVar[re.Pattern[str]]

    def __init__(self, declared: Iterable[str] = ()) -> None:
        self._theirs: dict[str, str] = {}
        self._ours: dict[str, str] = {}
        # accepted names keep priority, so that they stay unchanged
        fitting_first = sorted(set(declared), key=lambda name: (not self._fits(name), name))
        for name in fitting_first:
            self.theirs(name)

    @classmethod
    def rewritten(cls, name: str) -> str:
        """Without refused characters. It may be too long, or equal another tool's name."""
        return cls.refused.sub("_", name)

    def theirs(self, name: str) -> str:
        """The name that is sent to the provider."""
        if name not in self._theirs:
            written = name if self._fits(name) else self.rewritten(name)
            if len(written) > self.longest or self._ours.get(written, name) != name:
                written = self._marked(written, name)
            self._theirs[name], self._ours[written] = written, name
        return self._theirs[name]

    def ours(self, name: str) -> str:
        """The client's name for the tool that the model calls."""
        return self._ours.get(name, name)

    def _fits(self, name: str) -> bool:
        return len(name) <= self.longest and self.allowed.fullmatch(name) is not None

    def _marked(self, written: str, name: str) -> str:
        """Shortened, with a hash of the whole name, so that two names stay different."""
        mark = blake2s(name.encode(errors="replace"), digest_size=4).hexdigest()
        return f"{written[: self.longest - len(mark) - 1]}_{mark}"


class ChatToolNames(ToolNames):
    """Names for chat completions: 64 letters, digits, `_` and `-`, as OpenAI takes them."""

    longest = 64
    allowed = re.compile(r"[a-zA-Z0-9_-]+")
    refused = re.compile(r"[^a-zA-Z0-9_-]")
