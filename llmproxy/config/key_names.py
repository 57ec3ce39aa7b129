"""Name of a client key that was given without one: derived from its secret, so that two keys never have the same name."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from .values import Key

OPERATOR = "environment"  # the name of the key in LLMPROXY_KEY
_PURPOSE = b"llmproxy key name:"  # makes the digest useless for guessing secrets that are hashed elsewhere


def derived(secret: str) -> str:
    """`key-` and 12 hexadecimal digits. The same at any position in the list, after any restart."""
    return "key-" + sha256(_PURPOSE + secret.strip().encode("utf-8", "surrogateescape")).hexdigest()[:12]


def heirs(keys: Iterable[Key]) -> dict[str, str]:
    """Owners of earlier versions and their present names: for keys that were named by their position, and for requests without
    a key.

    Data without an owner goes to the first administrator's key.
    """
    keys = tuple(keys)
    changed = {key.formerly: key.name for key in keys if key.formerly}
    administrator = next((key.name for key in keys if key.admin), None)
    return changed if administrator is None else {**changed, "": administrator}
