"""Suggests similar model names for an unknown one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches

_LIKE = 0.5  # smallest ratio of difflib
_FEW = 50  # up to this number, all names are compared; above it, only those that share pieces with the query
_CLOSE = 16  # of many names, so many are compared letter by letter
_LOOKS = 2_000  # entries of the index that one query reads
_LENGTH = 100  # characters of the query
_PIECE = 3  # characters


class NearNames:
    """names: each with its other names (`gpt` for `openai/gpt`). The index is built at the first query."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self._names = names
        self._index: dict[str, list[str]] | None = None

    def near(self, asked: str, allowed: Callable[[str], bool]) -> list[str]:
        """Up to three of the allowed names, the most similar first. The cost does not grow with the number of names."""
        asked = asked[:_LENGTH]
        few = self._names if len(self._names) <= _FEW else self._sharing(asked, allowed)
        known = [full for name in few for full in (name, *self._names[name]) if allowed(full)]
        return get_close_matches(asked, list(dict.fromkeys(known)), n=3, cutoff=_LIKE)

    def _sharing(self, asked: str, allowed: Callable[[str], bool]) -> Iterable[str]:
        """The names that share the rarest pieces with the query."""
        index, shared, looks = self._indexed(), Counter[str](), 0
        for names in sorted((index[one] for one in _pieces(asked) if one in index), key=len):
            if looks and looks + len(names) > _LOOKS:
                break
            looks += len(names)
            shared.update(names[:_LOOKS])
        likely = (name for name, _ in shared.most_common() if any(map(allowed, (name, *self._names[name]))))
        return [name for name, _ in zip(likely, range(_CLOSE), strict=False)]

    def _indexed(self) -> dict[str, list[str]]:
        if self._index is None:
            self._index = {}
            for name in self._names:
                for piece in _pieces(name):
                    self._index.setdefault(piece, []).append(name)
        return self._index


def _pieces(name: str) -> set[str]:
    name = name.lower()
    return {name[at : at + _PIECE] for at in range(max(1, len(name) - _PIECE + 1))}
