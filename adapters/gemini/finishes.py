"""Why Gemini ended: its words as OpenAI's, and those that mean that the model broke down."""

from __future__ import annotations

from typing import Any

from llmproxy.adapter_kit import UpstreamError

FINISH = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "LANGUAGE",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "MODEL_ARMOR",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
        ),
        "content_filter",
    ),
}
# The model broke down. What it said before is no answer, so this is an error whenever it comes.
FAILED = frozenset(
    (
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
    )
)
# Clients of the gRPC kind ask for enums as numbers. The two APIs number them alike only this far.
_NUMBERED = {"1": "STOP", "2": "MAX_TOKENS", "3": "SAFETY", "4": "RECITATION", "5": "OTHER"}
_NONE = frozenset(("", "FINISH_REASON_UNSPECIFIED"))


def reason(said: Any) -> str | None:
    """Gemini's word for the end, None if this is none."""
    word = _NUMBERED.get(str(said), str(said or ""))
    return None if word in _NONE else word


def failure(reason: str, message: Any, *, answered: bool) -> UpstreamError | None:
    """The error that an end stands for, if it does."""
    if reason in FAILED or (reason not in FINISH and not answered):
        return UpstreamError(
            str(message or f"Gemini gave no answer: {reason}"),
            code=reason.lower(),
            retry_here=reason.startswith("MALFORMED_"),
            blames=False,  # it is this answer that came to nothing
        )
    return None
