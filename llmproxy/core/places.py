"""Names the client's own field in the error of a translated request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .errors import GatewayError, UpstreamError

if TYPE_CHECKING:
    from .chat import Json

_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_IN_LIST = re.compile(r"\b(?:messages|tools)\[\d+\](?:\.\w+|\[\d+\])*")
_QUOTED = re.compile(r"(['`\"])([a-z]+(?:_[a-z]+)+(?:\.\w+)*|messages|stop|n)\1")


class Places:
    """Where the parts of a chat request come from: `input[1].content[0]` for `messages[2].content[0]`.

    names: the client's names of the chat's members, where they differ. The code that translates a request calls `keep`
    for each message, part, call and tool that it makes.
    """

    __slots__ = ("_kept", "_names")

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._kept: dict[int, tuple[Json, str]] = {}  # with the object, so that its ID is not used again

    def keep(self, made: Json, place: str) -> Json:
        """Records the client's place of an object of the chat request. Returns the object."""
        self._kept[id(made)] = (made, place)
        return made

    def name(self, body: Json, param: str) -> str:
        """The client's place of a member of the chat request `body`: the nearest object whose place is known."""
        place, inside = "", False
        value: Any = body
        for index, key in _STEP.findall(param):
            inside = inside or bool(index)
            value = _child(value, index, key)
            place = self._kept[id(value)][1] if id(value) in self._kept else place
        return place or self._renamed(param, inside)

    def _renamed(self, param: str, inside: bool) -> str:
        """By the names alone. inside: the path leads into a list, whose indexes are not the client's."""
        known = param.partition("[")[0] if inside else param
        while known:
            if known in self._names:
                return self._names[known]
            known = known.rpartition(".")[0]
        return param.partition("[")[0] if inside else param

    def rename(self, body: Json, error: GatewayError) -> None:
        """Changes the places in an error about the chat request `body` to the client's."""
        if not isinstance(error, UpstreamError):  # a provider's own text may be about anything
            error.message = _IN_LIST.sub(lambda found: self.name(body, found[0]), error.message)
            error.message = _QUOTED.sub(lambda found: f"{found[1]}{self.name(body, found[2])}{found[1]}", error.message)
        if error.param:
            error.param = self.name(body, error.param)


def _child(value: Any, index: str, key: str) -> Any:
    if index:
        return value[int(index)] if isinstance(value, list) and int(index) < len(value) else None
    return value.get(key) if isinstance(value, dict) else None
