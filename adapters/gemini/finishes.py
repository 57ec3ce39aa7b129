"""Gemini's finish reasons that mean a failed answer."""

from __future__ import annotations

from typing import Any

from llmproxy.adapter_kit import GEMINI_FAILED, GEMINI_FINISH, UpstreamError


def failure(reason: str, message: Any, *, answered: bool) -> UpstreamError | None:
    """The error for a finish reason; None if it is a normal end. answered: some content came before."""
    if reason in GEMINI_FAILED or (reason not in GEMINI_FINISH and not answered):
        return UpstreamError(
            str(message or f"Gemini gave no answer: {reason}"),
            code=reason.lower(),
            retry_here=reason.startswith("MALFORMED_"),
            blames=False,  # only this answer failed
        )
    return None
