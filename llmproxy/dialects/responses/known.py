"""Earlier responses that a request refers to, and where its own response is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest

Keep = Callable[[Json, str], bool]  # called with a finished response and its provider; returns whether it is stored


class KnownItem(NamedTuple):
    """An item of an earlier response and the provider that gave it; empty for a client's item."""

    item: Json
    answered_by: str


@dataclass(frozen=True, slots=True)
class Known:
    """id: of the new response. stored: whether it is stored, as the client asked. keep: called with the response at its
    end. begun: called with a stream's response at its start.

    earlier: the items of `previous_response_id`, input and output; None if it is unknown here. answered_by: the
    provider of that earlier response, which may know it too. items: the referenced items by ID.
    """

    id: str = ""
    stored: bool = False
    earlier: Sequence[Json] | None = None
    answered_by: str = ""
    items: Mapping[str, KnownItem] = field(default_factory=dict)
    keep: Keep | None = None
    begun: Keep | None = None

    def whole_input(self, items: list[Json], previous: object) -> list[Json]:
        """The input with all references resolved. Raises BadRequest for unknown ones."""
        return [item for item, _ in self.placed_input(items, previous)]

    def placed_input(self, items: list[Json], previous: object) -> list[tuple[Json, str]]:
        """The same, each item with its place in the request."""
        if previous is not None and self.earlier is None:
            text = f"Previous response with id '{previous}' not found."
            raise BadRequest(text, param="previous_response_id", code="previous_response_not_found")
        earlier = [(item, "previous_response_id") for item in self.earlier or ()]
        placed = ((self._resolved(item, where), where) for item, where in _placed(items))
        return [*earlier, *((item, where) for item, where in placed if item is not None)]

    def _resolved(self, item: Json, where: str) -> Json | None:
        """The item itself. Unknown reasoning is dropped: the model can do without it."""
        if item.get("type") != "item_reference":
            return item
        id = str(item.get("id") or "")
        if not id:
            raise BadRequest(f"`{where}.id` is missing.", param=f"{where}.id", code="missing_required_parameter")
        if id in self.items:
            return self.items[id].item
        if id.startswith("rs_"):
            return None
        text = f"Item with id '{id}' not found. Items are not persisted when `store` is set to false."
        raise BadRequest(text, status=404, param=where, code="item_not_found")


def _placed(items: list[Json]) -> list[tuple[Json, str]]:
    return [(item, f"input[{number}]") for number, item in enumerate(items)]
