"""What is known of earlier responses while one request is answered, and where its own is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest

Keep = Callable[[Json, str], None]  # a finished response, and the provider that gave it


class KnownItem(NamedTuple):
    """An item of an earlier response, and the provider that gave it; none for what a client sent."""

    item: Json
    answered_by: str


@dataclass(frozen=True, slots=True)
class Known:
    """id: of the response that is being made. stored: whether it is kept, as its client asked. keep, begun: told of the
    response at its end, and of a stream's response when it is there.

    earlier: the items of `previous_response_id`, its input and its output; None if it is not known here. answered_by: the
    provider of that earlier response, which may know it too. items: those that are referred to, by their ids.
    """

    id: str = ""
    stored: bool = False
    earlier: Sequence[Json] | None = None
    answered_by: str = ""
    items: Mapping[str, KnownItem] = field(default_factory=dict)
    keep: Keep | None = None
    begun: Keep | None = None

    def whole_input(self, items: list[Json], previous: object) -> list[Json]:
        """The input with everything that it only refers to. Raises BadRequest for what is not known."""
        if previous is not None and self.earlier is None:
            text = f"Previous response with id '{previous}' not found."
            raise BadRequest(text, param="previous_response_id", code="previous_response_not_found")
        found = [self._found(item, f"input[{number}]") for number, item in enumerate(items)]
        return [*(self.earlier or ()), *(item for item in found if item is not None)]

    def _found(self, item: Json, where: str) -> Json | None:
        """The item itself. Reasoning that is not known any more is left out: the model can do without."""
        if item.get("type") != "item_reference":
            return item
        id = str(item.get("id") or "")
        if id in self.items:
            return self.items[id].item
        if id.startswith("rs_"):
            return None
        text = f"Item with id '{id}' not found. Items are not persisted when `store` is set to false."
        raise BadRequest(text, status=404, param=where, code="item_not_found")
