"""Name of a client key that has none: derived from its secret, so no other key ever has the same."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from .values import Key

OPERATOR = "environment"  # the name of the key in LLMPROXY_KEY
_PURPOSE = b"llmproxy key name:"  # the digest is of no use to guess secrets that are hashed elsewhere


def derived(secret: str) -> str:
    """`key-` and 12 hexadecimal digits. The same at any place in the list, after any restart."""
    return "key-" + sha256(_PURPOSE + secret.strip().encode("utf-8", "surrogateescape")).hexdigest()[:12]


def heirs(keys: Iterable[Key]) -> dict[str, str]:
    """Owners of earlier versions and those that they are now: of keys named by their position, and of no key at all.

    What belongs to nobody goes to the first administrator's key.
    """
    keys = tuple(keys)
    changed = {key.formerly: key.name for key in keys if key.formerly}
    administrator = next((key.name for key in keys if key.admin), None)
    return changed if administrator is None else {**changed, "": administrator}
