"""Groups created at run time: rows of `accounts` besides the keys', under names that no key can have."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from llmproxy.core.chat import Json
from llmproxy.core.errors import GatewayError, NotFound

if TYPE_CHECKING:
    from .connection import Connection

_ROW = "group:"  # prefix of the row's name, and of the name for its budget


class GroupRow(NamedTuple):
    """limits: rpm, tpm, max_parallel, budget. created_at: Unix seconds."""

    name: str
    limits: Json
    created_at: float


def known(db: Connection) -> tuple[GroupRow, ...]:
    rows = db.execute("SELECT name, limits, created_at FROM accounts WHERE kind = 'group' ORDER BY created_at, id")
    return tuple([GroupRow(name.removeprefix(_ROW), json.loads(limits), made) for name, limits, made in rows])


def create(db: Connection, group: GroupRow) -> None:
    """Raises GatewayError (409) if the name exists."""
    name = f"{_ROW}{group.name}"
    made = db.execute(
        "INSERT INTO accounts (id, kind, name, limits, created_at) VALUES (?, 'group', ?, ?, ?) ON CONFLICT (name) DO NOTHING",
        (name, name, json.dumps(group.limits), group.created_at),
    )
    if not made.rowcount:
        raise GatewayError(f"There is a group {group.name!r} already.", status=409, code="group_exists", param="name")
    changed(db)


def change(db: Connection, name: str, limits: Json) -> None:
    """Merges limits into those of a group: None removes one. Raises NotFound."""
    merged = {**_limits(db, name), **limits}
    kept = {key: one for key, one in merged.items() if one is not None}
    db.execute("UPDATE accounts SET limits = ? WHERE name = ?", (json.dumps(kept), f"{_ROW}{name}"))
    changed(db)


def delete(db: Connection, name: str) -> None:
    """Raises NotFound, or GatewayError (409) if valid keys are in it, because they would lose its limits."""
    _limits(db, name)
    rows = db.execute("SELECT name FROM accounts WHERE kind = 'key' AND grp = ? AND revoked_at IS NULL", (name,))
    if members := [key for (key,) in rows]:
        text = f"The group {name!r} has keys: {', '.join(members[:5])}{', ...' if len(members) > 5 else ''}."
        raise GatewayError(text, status=409, code="group_in_use", param="name")
    db.execute("DELETE FROM accounts WHERE name = ?", (f"{_ROW}{name}",))
    changed(db)


def changed(db: Connection) -> None:
    """Increases the number of changes, by which other processes see that the accounts changed."""
    db.execute("UPDATE account_changes SET number = number + 1")


def _limits(db: Connection, name: str) -> Json:
    """The present limits, locked until this change is done."""
    db.lock("accounts", f"{_ROW}{name}")
    row = db.execute("SELECT limits FROM accounts WHERE name = ?", (f"{_ROW}{name}",)).fetchone()
    if row is None:
        raise not_found(name)
    limits: Json = json.loads(row[0])
    return limits


def not_found(name: str) -> NotFound:
    return NotFound(f"There is no group {name!r}.", code="group_not_found")
