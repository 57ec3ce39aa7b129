"""Packs reasoning of another dialect into one string that clients send back unchanged.

Every client returns a thinking block's `signature`, a redacted block's `data` and a reasoning item's `encrypted_content` byte
for byte. They carry the data that a provider of another dialect needs back: `llmproxy.1.` and the base64url text of deflated
JSON, `{"details": [...], ...}`. Real signatures are plain base64 without a dot, so ours can be recognised. The string is
untrusted input when it comes back: its size is limited, and only its structure is used.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass, field

import orjson

from llmproxy.core.chat import Json

_SIGN = "llmproxy.1."
_MOST = 4 * 1024 * 1024  # bytes of the packed text, and of the JSON in it


@dataclass(frozen=True, slots=True)
class Packed:
    """The packed data.

    details: OpenRouter's `reasoning_details`, as in chat chunks. call_id: the tool call to which it belongs.
    extra: further members of that call, such as `extra_content`.
    """

    details: tuple[Json, ...] = ()
    call_id: str = ""
    extra: Json = field(default_factory=dict)


def is_ours(text: object) -> bool:
    """Whether a signature or encrypted content was made by `pack`."""
    return isinstance(text, str) and text.startswith(_SIGN)


def pack(packed: Packed) -> str:
    """The text for the client; empty if there is nothing to carry."""
    members = {"details": list(packed.details), "call_id": packed.call_id, "extra": packed.extra}
    kept = {name: value for name, value in members.items() if value}
    if not kept:
        return ""
    return _SIGN + base64.urlsafe_b64encode(zlib.compress(orjson.dumps(kept), 6)).decode()


def unpack(text: object) -> Packed | None:
    """The data that `pack` was given; None for anything else."""
    if not isinstance(text, str) or not text.startswith(_SIGN) or len(text) > _MOST:
        return None
    try:
        deflated = base64.b64decode(text[len(_SIGN) :], altchars=b"-_", validate=True)
        inflater = zlib.decompressobj()
        found = orjson.loads(inflater.decompress(deflated, _MOST))
    except (binascii.Error, ValueError, zlib.error):  # orjson's error is a ValueError
        return None
    if not isinstance(found, dict) or inflater.unconsumed_tail:
        return None
    details, call_id, extra = found.get("details", []), found.get("call_id", ""), found.get("extra", {})
    if not isinstance(details, list) or not isinstance(call_id, str) or not isinstance(extra, dict):
        return None
    return Packed(tuple(one for one in details if isinstance(one, dict)), call_id, extra)


def seal(packed_in: Json) -> str:
    """The text for the client from a closed block (blocks.Closed.seal); empty if nothing belongs to it."""
    details = packed_in.get("details")
    extra = {
        k: v for k, v in packed_in.items() if k not in ("details", "call_id", "signature", "data", "item", "image")
    }
    kept = [one for one in details if _has_state(one)] if isinstance(details, list) else []
    return pack(Packed(tuple(kept), str(packed_in.get("call_id") or ""), extra))


def _has_state(detail: object) -> bool:
    """Details that only repeat the text are not packed, because the block already has the text."""
    return isinstance(detail, dict) and any(detail.get(name) for name in ("signature", "data"))
