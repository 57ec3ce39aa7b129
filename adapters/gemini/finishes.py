"""Ends of Gemini's that mean that there is no answer."""

from __future__ import annotations

from typing import Any

from llmproxy.adapter_kit import GEMINI_FAILED, GEMINI_FINISH, UpstreamError


def failure(reason: str, message: Any, *, answered: bool) -> UpstreamError | None:
    """The error that an end stands for, if it does."""
    if reason in GEMINI_FAILED or (reason not in GEMINI_FINISH and not answered):
        return UpstreamError(
            str(message or f"Gemini gave no answer: {reason}"),
            code=reason.lower(),
            retry_here=reason.startswith("MALFORMED_"),
            blames=False,  # it is this answer that came to nothing
        )
    return None
