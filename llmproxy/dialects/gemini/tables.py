"""Google's names for finish reasons and error statuses."""

from __future__ import annotations

from typing import Any

# Finish reasons, as OpenAI's.
GEMINI_FINISH = {
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
# The model failed. The text before is not an answer, so this is an error at any time.
GEMINI_FAILED = frozenset(
    (
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
    )
)
# gRPC clients ask for enums as numbers. The two APIs have the same numbers only up to here.
_NUMBERED = {"1": "STOP", "2": "MAX_TOKENS", "3": "SAFETY", "4": "RECITATION", "5": "OTHER"}
_NONE = frozenset(("", "FINISH_REASON_UNSPECIFIED"))
_ENDS = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}

# Names of google.rpc.Code that an HTTP API uses, with their HTTP status.
GEMINI_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_WORD_BY_HTTP = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}


def gemini_end(reason: Any) -> str | None:
    """Gemini's finish reason; None if the value is not one."""
    word = _NUMBERED.get(str(reason), str(reason or ""))
    return None if word in _NONE else word


def end_word(finish: str, native: str | None) -> str:
    """Gemini's finish reason for OpenAI's. If the provider's own reason is one of Gemini's, it is used."""
    return native if native in GEMINI_FINISH else _ENDS.get(finish, "STOP")


def status_word(status: int) -> str:
    """Google's status name for an HTTP status."""
    return _WORD_BY_HTTP.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
