"""Finds the key of a request: keys of the configuration and keys made at run time, each with one look-up."""

from __future__ import annotations

import re
import secrets
import string
import time
from collections.abc import Iterable, Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import Any, NamedTuple

from llmproxy.config import Group, Key
from llmproxy.config.key_names import OPERATOR
from llmproxy.config.quotas import budgets, end
from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest, GatewayError
from llmproxy.store.accounts import NOTHING, Account, Known, Secret

from .groups import group_of
from .members import COUNTS, given, limits_of, name_of, wrong

PREFIX = "llmp_"
_LETTERS = string.ascii_letters + string.digits
_FORM = re.compile(r"llmp_([A-Za-z0-9]{12})_[A-Za-z0-9]{40}")
MEMBERS = ("name", "models", "group", "admin", "expires", "budget", *COUNTS)


def digest(secret: str) -> bytes:
    """The stored form of a secret. Secrets are long and random, so one round of SHA-256 is enough."""
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()


class Learned:
    """The keys and groups of the store, with an index. With many keys this takes a while; a thread may create it."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.by_id = {one.id: (one, key_of(one)) for one in known.accounts}
        self.by_name = {one.name: (one, key) for one, key in self.by_id.values()}
        self.groups: Mapping[str, Group] = {one.name: group_of(one) for one in known.groups}


class Configured:
    """The keys of the configuration, with an index. With many keys this takes a while, too."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self.keys = tuple(keys)
        self.by_hash = {digest(key.secret): key for key in self.keys}
        self.by_name = {key.name: key for key in reversed(self.keys)}


class Keyring:
    """All current keys, and the groups of the store. `Known` is the content of the store; a new one replaces it as a whole."""

    def __init__(self, static: Iterable[Key] = (), known: Known = NOTHING) -> None:
        self.written = Configured(static)
        self.learned = Learned(known)

    def configure(self, static: Iterable[Key] | Configured) -> None:
        """Sets the keys of the configuration."""
        self.written = static if isinstance(static, Configured) else Configured(static)

    @property
    def static(self) -> tuple[Key, ...]:
        return self.written.keys

    def learn(self, learned: Learned) -> None:
        """Sets the keys and groups of the store."""
        self.learned = learned

    @property
    def known(self) -> Known:
        return self.learned.known

    @property
    def groups(self) -> Mapping[str, Group]:
        """The groups of the store."""
        return self.learned.groups

    def revoke(self, name: str, now: float) -> None:
        """Revokes a key before the store is read again, because another process has revoked it."""
        account, key = self.learned.by_name.get(name, (None, None))
        if account is not None and key is not None and account.revoked_at is None:
            entry = (account._replace(revoked_at=now), key)
            self.learned.by_id[account.id] = self.learned.by_name[name] = entry

    @property
    def required(self) -> bool:
        """Whether a client must send a key: if there ever was one, because revoking the last key must not open the gateway.

        Also if the store could not be read yet.
        """
        known = self.learned.known
        return bool(self.written.keys or known.accounts) or not known.read

    @property
    def several(self) -> bool:
        """Whether there is more than one key."""
        return len(self.written.keys) + len(self.learned.known.accounts) > 1

    def find(self, given: str, now: float | None = None) -> Key | None:
        """The key with this secret, if it is valid now."""
        hash = digest(given)
        key = self.written.by_hash.get(hash)
        if key is not None:
            return key if key.expires is None or _counts(key.expires, now) else None
        form = _FORM.fullmatch(given) if given.startswith(PREFIX) else None
        account, key = self.learned.by_id.get(form[1], (None, None)) if form else (None, None)
        if account is None or key is None or account.revoked_at is not None:
            return None
        fits = [one for one in account.secrets if compare_digest(one.hash, hash)]
        valid = fits and _counts(fits[0].expires_at, now) and _counts(account.expires_at, now)
        return key if valid else None

    def named(self, name: str) -> Key | None:
        """A key by its name, also if it is not valid now."""
        return self.written.by_name.get(name) or self.learned.by_name.get(name, (None, None))[1]

    def account(self, name: str) -> Account | None:
        """The account of a key in the store."""
        return self.learned.by_name.get(name, (None, None))[0]

    def is_static(self, name: str) -> bool:
        """Whether the configuration has a key with this name."""
        return name in self.written.by_name

    def counts(self, name: str, now: float) -> bool:
        """Whether a key with this name is valid now."""
        static, account = self.written.by_name.get(name), self.account(name)
        if static is not None and _counts(static.expires, now):
            return True
        return account is not None and account.revoked_at is None and _counts(account.expires_at, now)


def _counts(expires: float | None, now: float | None) -> bool:
    return expires is None or expires > (time.time() if now is None else now)


def key_of(account: Account) -> Key:
    """The key of an account, as the gateway uses it."""
    limits = account.limits
    return Key(
        account.name,
        "",
        admin=account.admin,
        models=account.models,
        group=account.group,
        rpm=limits.get("rpm"),
        tpm=limits.get("tpm"),
        max_parallel=limits.get("max_parallel"),
        budget=budgets(limits.get("budget", ())),
        expires=account.expires_at,
    )


class Fresh(NamedTuple):
    """A new secret. It is shown once."""

    id: str
    secret: str
    hash: bytes

    @classmethod
    def of(cls, id: str) -> Fresh:
        """A new secret for an account."""
        secret = f"{PREFIX}{id}_{_random(40)}"
        return cls(id, secret, digest(secret))


def _random(count: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(count))


def created(body: Json, now: float, taken: Iterable[str], groups: Iterable[str]) -> tuple[Account, str]:
    """A new account from a request's body, and its secret. Raises GatewayError: 400, or 409 if the name is taken."""
    changes = checked(body, now, groups)
    name = name_of(body)
    if name in taken or name == OPERATOR:
        message = f"{name!r} is the name of a key in the config."
        raise GatewayError(message, status=409, code="key_exists", param="name")
    fresh = Fresh.of(_random(12))
    account = Account(
        fresh.id,
        name,
        changes.get("group", ""),
        changes.get("admin", False),
        changes.get("models", ("*",)),
        given(changes["limits"]),
        now,
        changes.get("expires_at"),
        secrets=(Secret(fresh.hash, None),),
    )
    return account, fresh.secret


def checked(body: Mapping[str, Any], now: float, groups: Iterable[str]) -> Json:
    """The changes in a request's body, as they are stored. Raises BadRequest that names the wrong member."""
    for name in body:
        if name not in MEMBERS:
            raise BadRequest(f"A key has {', '.join(MEMBERS)}.", param=name, code="unknown_parameter")
    changes: Json = {"limits": limits_of(body)}
    if "models" in body:
        changes["models"] = _models(body["models"])
    if "group" in body:
        if body["group"] not in ("", *groups):
            raise wrong("group", "the name of a group")
        changes["group"] = body["group"]
    if "admin" in body:
        if not isinstance(body["admin"], bool):
            raise wrong("admin", "true or false")
        changes["admin"] = body["admin"]
    if "expires" in body:
        changes["expires_at"] = None if body["expires"] is None else _end(body["expires"], now)
    return changes


def _models(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not value or not all(isinstance(one, str) and one for one in value):
        raise wrong("models", "a list of patterns, as fast or openai/*")
    return tuple(value)


def _end(value: Any, now: float) -> float:
    try:
        return end(value, now)
    except ValueError as error:
        raise BadRequest(f"`expires`: {error}.", param="expires", code="invalid_value") from None
