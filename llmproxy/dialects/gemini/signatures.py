"""Thought signatures: Gemini's own, and those that carry the reasoning state of other models.

A `thoughtSignature` is base64, and clients decode and encode it, in either alphabet. The gateway's own are the packed
text of wire/foreign_reasoning.py in base64. Gemini's own are not parsed.
"""

from __future__ import annotations

import base64
import binascii

from llmproxy.core.chat import Json
from llmproxy.wire.foreign_reasoning import Packed, seal, unpack

_SIGN = "bGxtcHJveHku"  # "llmproxy." in base64: nine bytes, so the rest is encoded independently
FOREIGN = _SIGN.encode()
NO_CHECK = "skip_thought_signature_validator"  # Google's value for a call without its signature


def is_foreign(signature: object) -> bool:
    return isinstance(signature, str) and signature.startswith(_SIGN)


def read(signature: object) -> Packed | None:
    """The packed state of the gateway's own signature; None for Gemini's own."""
    if not isinstance(signature, str) or not signature.startswith(_SIGN):
        return None
    try:
        text = base64.b64decode(signature, altchars=b"-_" if "-" in signature or "_" in signature else b"+/")
        return unpack(text.decode("ascii"))
    except (binascii.Error, ValueError):
        return None


def write(closed: Json) -> str:
    """The signature for a closed block of reasoning: Gemini's own if there is one, otherwise the gateway's; empty if
    there is no state.
    """
    if own := google_signature(closed):
        return own
    packed = seal(closed)
    return base64.b64encode(packed.encode()).decode() if packed else ""


def google_signature(holder: object) -> str:
    """`extra_content.google.thought_signature`: Gemini's own signature in a chat."""
    extra = holder.get("extra_content") if isinstance(holder, dict) else None
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else ""


def extra_content(signature: str) -> Json:
    return {"extra_content": {"google": {"thought_signature": signature}}}
