"""Keys created at run time: rows of `accounts`, and the hashes of their secrets."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmproxy.core.chat import Json
from llmproxy.core.errors import GatewayError, NotFound

from . import groups
from .engine import engine_of
from .groups import GroupRow, changed

if TYPE_CHECKING:
    from .connection import Connection


class Secret(NamedTuple):
    """SHA-256 of the secret that the client sends, and until when it is valid."""

    hash: bytes
    expires_at: float | None


class Account(NamedTuple):
    """One key. limits: rpm, tpm, max_parallel, budget. Times are Unix seconds."""

    id: str
    name: str
    group: str
    admin: bool
    models: tuple[str, ...]
    limits: Json
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    secrets: tuple[Secret, ...] = ()


class Known(NamedTuple):
    """All keys and groups, and the number of changes made to them so far.

    read: False if the store could not be read.
    """

    number: int
    accounts: tuple[Account, ...]
    groups: tuple[GroupRow, ...] = ()
    read: bool = True


NOTHING = Known(-1, ())
UNREAD = Known(-1, (), read=False)
_CHANGES = {"group": "grp", "admin": "admin", "models": "models", "limits": "limits", "expires_at": "expires_at"}


def number(db: Connection) -> int:
    """The number of changes so far."""
    [count] = db.execute("SELECT number FROM account_changes").fetchone()
    return int(count)


def known(db: Connection) -> Known:
    """All keys and groups now. The number of changes is read first: a later change may be included, but is not counted as seen."""
    seen = number(db)
    secrets: dict[str, list[Secret]] = {}
    for hash, account_id, expires_at in db.execute("SELECT hash, account_id, expires_at FROM secrets"):
        secrets.setdefault(account_id, []).append(Secret(bytes(hash), expires_at))
    rows = db.execute(
        "SELECT id, name, grp, admin, models, limits, created_at, expires_at, revoked_at FROM accounts "
        "WHERE kind = 'key' ORDER BY created_at, id"
    )
    accounts = tuple([_account(row, tuple(secrets.get(row[0], ()))) for row in rows])
    return Known(seen, accounts, groups.known(db))


def _account(row: Any, secrets: tuple[Secret, ...]) -> Account:
    id, name, group, admin, models, limits, created_at, expires_at, revoked_at = row
    return Account(
        id, name, group, bool(admin), tuple(json.loads(models)), json.loads(limits), created_at, expires_at, revoked_at, secrets
    )  # fmt: skip


def known_at(where: Path | str) -> Known:
    """The same for a database that is not open; nothing if it does not exist or is older; UNREAD if a server cannot be reached."""
    engine = engine_of(where)
    try:
        db = engine.look()
        if db is None:
            return NOTHING
        with closing(db):
            return known(db)
    except Exception as error:
        if engine.is_failure(error):
            # An older schema had no such keys. A damaged file is reported when it is opened for writing.
            return UNREAD if isinstance(where, str) else NOTHING
        raise


def create(db: Connection, account: Account) -> None:
    """Raises GatewayError (409) if the name exists, also for a revoked key, because its usage is recorded under its name."""
    made = db.execute(
        "INSERT INTO accounts (id, kind, name, grp, admin, models, limits, created_at, expires_at) "
        "VALUES (?, 'key', ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
        (
            account.id, account.name, account.group, int(account.admin), json.dumps(account.models), json.dumps(account.limits),
            account.created_at, account.expires_at,
        ),
    )  # fmt: skip
    if not made.rowcount:
        raise GatewayError(f"There is a key {account.name!r} already.", status=409, code="key_exists", param="name")
    _add(db, account.id, account.secrets[0].hash, account.created_at)
    changed(db)


def change(db: Connection, name: str, changes: Json) -> None:
    """Sets members of an account. `limits` are merged: None removes one."""
    row = _locked(db, name)
    for member, column in _CHANGES.items():
        if member in changes:
            value = changes[member]
            if member == "limits":
                merged = {**json.loads(row["limits"]), **value}
                value = json.dumps({key: one for key, one in merged.items() if one is not None})
            elif member == "models":
                value = json.dumps(value)
            elif member == "admin":
                value = int(value)
            db.execute(f"UPDATE accounts SET {column} = ? WHERE id = ?", (value, row["id"]))
    changed(db)


def revoke(db: Connection, name: str, now: float) -> None:
    """Revokes the key for good. Its row is kept, because its usage refers to it."""
    row = _locked(db, name)
    db.execute("UPDATE accounts SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?", (now, row["id"]))
    db.execute("DELETE FROM secrets WHERE account_id = ?", (row["id"],))
    changed(db)


def rotate(db: Connection, name: str, hash: bytes, now: float, until: float) -> str:
    """Adds a new secret; the older ones stay valid until the given time. Returns the account's ID. Raises GatewayError if it
    is revoked.
    """
    row = _locked(db, name)
    if row["revoked_at"] is not None:
        raise GatewayError(f"The key {name!r} is revoked.", status=409, code="key_revoked")
    db.execute("DELETE FROM secrets WHERE account_id = ? AND expires_at <= ?", (row["id"], now))
    db.execute(
        "UPDATE secrets SET expires_at = ? WHERE account_id = ? AND (expires_at IS NULL OR expires_at > ?)",
        (until, row["id"], until),
    )
    _add(db, row["id"], hash, now)
    changed(db)
    return str(row["id"])


def _add(db: Connection, account_id: str, hash: bytes, now: float) -> None:
    db.execute("INSERT INTO secrets (hash, account_id, created_at) VALUES (?, ?, ?)", (hash, account_id, now))


def _row(db: Connection, name: str) -> Any:
    row = db.execute("SELECT * FROM accounts WHERE name = ? AND kind = 'key'", (name,)).fetchone()
    if row is None:
        raise not_found(name)
    return row


def _locked(db: Connection, name: str) -> Any:
    """The account, locked until this change is done."""
    db.lock("accounts", _row(db, name)["id"])
    return _row(db, name)


def not_found(name: str) -> NotFound:
    return NotFound(f"There is no key {name!r}.", code="key_not_found")
