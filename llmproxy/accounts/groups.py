"""Groups that were created at run time: validates requests for them, and converts their rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llmproxy.config import Group
from llmproxy.config.quotas import budgets
from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest, GatewayError
from llmproxy.store.groups import GroupRow

from .members import COUNTS, given, limits_of, name_of

MEMBERS = ("name", "budget", *COUNTS)


def created(body: Mapping[str, Any], now: float, taken: Iterable[str]) -> GroupRow:
    """A new group from what was asked. taken: the names of the config's.

    Raises GatewayError: 400, or 409 where the name is taken.
    """
    limits, name = checked(body), name_of(body)
    if name in taken:
        message = f"{name!r} is the name of a group in the config."
        raise GatewayError(message, status=409, code="group_exists", param="name")
    return GroupRow(name, given(limits), now)


def checked(body: Mapping[str, Any]) -> Json:
    """The limits of a request's body, as they are stored. Raises BadRequest that names the wrong member."""
    for name in body:
        if name not in MEMBERS:
            raise BadRequest(f"A group has {', '.join(MEMBERS)}.", param=name, code="unknown_parameter")
    return limits_of(body)


def group_of(row: GroupRow) -> Group:
    limits = row.limits
    counts = {name: limits.get(name) for name in COUNTS}
    return Group(row.name, budget=budgets(limits.get("budget", ())), **counts)
