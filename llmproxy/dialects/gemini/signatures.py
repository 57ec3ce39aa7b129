"""Thought signatures: Gemini's own, and those in which the state of other models' reasoning travels.

A `thoughtSignature` is base64, and clients decode and encode it, in either alphabet. Ours is therefore the packed text of
wire/foreign_reasoning.py once more in base64. Gemini's own are never looked into.
"""

from __future__ import annotations

import base64
import binascii

from llmproxy.core.chat import Json
from llmproxy.wire.foreign_reasoning import Packed, seal, unpack

_SIGN = "bGxtcHJveHku"  # "llmproxy." in base64; what follows stays in step, as it is three times three bytes
FOREIGN = _SIGN.encode()
NO_CHECK = "skip_thought_signature_validator"  # Google's own word for a call whose signature is not there


def is_foreign(signature: object) -> bool:
    return isinstance(signature, str) and signature.startswith(_SIGN)


def read(signature: object) -> Packed | None:
    """What we packed; None for Gemini's own."""
    if not isinstance(signature, str) or not signature.startswith(_SIGN):
        return None
    try:
        text = base64.b64decode(signature, altchars=b"-_" if "-" in signature or "_" in signature else b"+/")
        return unpack(text.decode("ascii"))
    except (binascii.Error, ValueError):
        return None


def write(closed: Json) -> str:
    """The signature for what a block of reasoning was closed with: Gemini's own where it is one, else ours; or empty."""
    if own := google_signature(closed):
        return own
    packed = seal(closed)
    return base64.b64encode(packed.encode()).decode() if packed else ""


def google_signature(holder: object) -> str:
    """`extra_content.google.thought_signature`, where the chat middle carries Gemini's own."""
    extra = holder.get("extra_content") if isinstance(holder, dict) else None
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else ""


def extra_content(signature: str) -> Json:
    return {"extra_content": {"google": {"thought_signature": signature}}}
