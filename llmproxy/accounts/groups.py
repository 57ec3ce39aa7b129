"""Groups made at run time: what may be asked of them, and what the gateway goes by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llmproxy.config import Group
from llmproxy.config.quotas import budgets
from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest
from llmproxy.store.groups import GroupRow

from .members import COUNTS, given, limits_of, name_of

MEMBERS = ("name", "budget", *COUNTS)


def created(body: Mapping[str, Any], now: float, taken: Iterable[str]) -> GroupRow:
    """A new group from what was asked. taken: the names of the config's. Raises BadRequest."""
    limits, name = checked(body), name_of(body)
    if name in taken:
        raise BadRequest(f"{name!r} is the name of a group in the config.", param="name", code="group_exists")
    return GroupRow(name, given(limits), now)


def checked(body: Mapping[str, Any]) -> Json:
    """The limits that are to be set, as the store takes them. Raises BadRequest with the member at fault."""
    for name in body:
        if name not in MEMBERS:
            raise BadRequest(f"A group has {', '.join(MEMBERS)}.", param=name, code="unknown_parameter")
    return limits_of(body)


def group_of(row: GroupRow) -> Group:
    limits = row.limits
    counts = {name: limits.get(name) for name in COUNTS}
    return Group(row.name, budget=budgets(limits.get("budget", ())), **counts)
