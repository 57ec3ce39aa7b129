"""Stored responses, limited in bytes and age. Each belongs to one owner.

A response is stored with its whole conversation, so that `previous_response_id` resolves to all of it. Responses of one
conversation share the bytes of their common beginning, which are counted once.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import orjson

from llmproxy.core.chat import Json

from .ids import fresh
from .known import KnownItem

_PREFIXES = {
    "message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs",
    "custom_tool_call": "ctc", "custom_tool_call_output": "ctco",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """One stored response.

    answered_by: the provider that knows it by the same ID; empty if none does. parts: JSON lists of items, in order:
    everything that was sent to the model. request_id: of the gateway's request.
    """

    id: str
    owner: str
    response: bytes
    parts: tuple[bytes, ...] = ()
    answered_by: str = ""
    request_id: str = ""
    at: float = 0.0

    @property
    def size(self) -> int:
        return len(self.response) + sum(map(len, self.parts))

    @property
    def value(self) -> Json:
        return dict(orjson.loads(self.response))

    @property
    def input(self) -> list[Json]:
        return [item for part in self.parts for item in orjson.loads(part)]

    @property
    def output(self) -> list[Json]:
        return list(self.value.get("output") or ())

    def followed(self) -> tuple[bytes, ...]:
        """The parts for a response that follows this one."""
        return (*self.parts, orjson.dumps(self.output))


@dataclass(slots=True)
class ResponseStore:
    """most: bytes in all. seconds: how long a response is stored. The oldest ones are removed first."""

    most: int = 64 * 1024 * 1024
    seconds: float = 3600.0
    clock: Callable[[], float] = time.monotonic
    size: int = 0
    _kept: OrderedDict[tuple[str, str], Kept] = field(default_factory=OrderedDict)
    _items: dict[tuple[str, str], str] = field(default_factory=dict)  # the response of each item, by the item's ID
    _shared: Counter[int] = field(default_factory=Counter)  # number of responses that share a part

    def put(self, kept: Kept) -> bool:
        """Stores it; replaces a response with the same ID. False: it is larger than the whole store."""
        self._drop((kept.owner, kept.id))
        if kept.size > self.most:
            return False
        kept = replace(kept, at=self.clock())
        self._kept[kept.owner, kept.id] = kept
        for item in kept.output:
            if isinstance(item, dict) and isinstance(item.get("id"), str):
                self._items[kept.owner, item["id"]] = kept.id
        self.size += len(kept.response)
        for part in kept.parts:
            self.size += 0 if self._shared[id(part)] else len(part)
            self._shared[id(part)] += 1
        self._forget()
        return True

    def get(self, owner: str, id: str) -> Kept | None:
        """The owner's response with this ID."""
        self._forget()
        return self._kept.get((owner, id))

    def holds(self, kept: Kept) -> bool:
        """Whether this very object is stored."""
        there = self._kept.get((kept.owner, kept.id))
        return there is not None and there.response is kept.response

    def item(self, owner: str, id: str) -> KnownItem | None:
        """An item of one of the owner's responses."""
        kept = self.with_item(owner, id)
        found = next((one for one in kept.output if one.get("id") == id), None) if kept is not None else None
        return KnownItem(found, kept.answered_by) if kept is not None and found is not None else None

    def with_item(self, owner: str, id: str) -> Kept | None:
        """The owner's response that has this item."""
        return self.get(owner, self._items.get((owner, id), ""))

    def delete(self, owner: str, id: str) -> bool:
        self._forget()
        return self._drop((owner, id))

    def _forget(self) -> None:
        oldest = self.clock() - self.seconds
        while self._kept:
            name, kept = next(iter(self._kept.items()))
            if kept.at > oldest and self.size <= self.most:
                return
            self._drop(name)

    def _drop(self, name: tuple[str, str]) -> bool:
        kept = self._kept.pop(name, None)
        if kept is None:
            return False
        self.size -= len(kept.response)
        for part in kept.parts:
            self._shared[id(part)] -= 1
            if not self._shared[id(part)]:
                del self._shared[id(part)]
                self.size -= len(part)
        for item in kept.output:
            if isinstance(item, dict) and self._items.get((kept.owner, str(item.get("id")))) == kept.id:
                del self._items[kept.owner, item["id"]]
        return True


def with_ids(items: list[Json]) -> list[Json]:
    """The items of an input; those without an ID get one."""
    return [item if isinstance(item.get("id"), str) else {"id": fresh(_prefix(item)), **item} for item in items]


def _prefix(item: Json) -> str:
    return _PREFIXES.get(str(item.get("type") or "message"), "item")
