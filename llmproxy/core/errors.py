"""Exception classes: HTTP status, error code, and whether a retry or a fallback may help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from .lifecycle import STOPPED, Event, Phase

if TYPE_CHECKING:
    pass

_TYPE_BY_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    409: "conflict_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    499: "request_cancelled",
    503: "service_unavailable_error",
    504: "timeout_error",
}


def type_of(status: int) -> str:
    """OpenAI's `type` for an HTTP status, if the provider sent none."""
    return _TYPE_BY_STATUS.get(status, "server_error" if status >= 500 else "invalid_request_error")


class GatewayError(Exception):
    """A failure that is reported to the client. `extra` has further members of the provider's error object."""

    status = 500
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        type: str | None = None,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status or self.status
        self.type = type or type_of(self.status)
        self.code = code or self.code
        self.param = param
        self.headers: dict[str, str] = dict(headers or {})
        self.extra: dict[str, Any] = dict(extra or {})

    def as_json(self) -> dict[str, Any]:
        """`{"error": {"message", "type", "param", "code", ...}}`: these four are always present, `code` is a string or
        null.
        """
        error = {**self.extra, "message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": error}

    def as_bytes(self) -> bytes:
        return orjson.dumps(self.as_json())


class BadRequest(GatewayError):
    """The request is invalid; found before any provider was called."""

    status = 400


class ModelNotFound(GatewayError):
    """No provider has a model of this name."""

    status = 404
    code = "model_not_found"


class Cancelled(GatewayError):
    """The request was stopped; `by` is one of the causes in `lifecycle.STOPPED`."""

    status = 499
    code = "request_cancelled"

    @classmethod
    def because(cls, by: str) -> Cancelled:
        """The error for the client; it says that the request must not be retried automatically."""
        row = STOPPED.get(by, STOPPED["api"])
        kind = "insufficient_quota" if row.code == "insufficient_quota" else None
        headers = {"x-should-retry": "false"}
        return cls(row.say, status=row.status, type=kind, code=row.code, headers=headers, extra={"by": by})


class LifecycleError(GatewayError):
    """An event that is impossible in the current phase of the request: a fault in the gateway."""

    code = "internal_error"

    def __init__(self, phase: Phase, event: Event) -> None:
        super().__init__("The gateway failed.")
        self.phase = phase
        self.event = event


class UpstreamError(GatewayError):
    """A provider failed.

    retry_here: a retry at the same provider may help.
    try_elsewhere: another provider may answer the same request.
    wait: seconds to wait, if the provider named them, or None.
    blames: the failure says something about the provider's health and counts for its circuit breaker.
    provider_wide: it concerns all models of the provider, not only the requested one.
    keeps_waiting: the provider is only starting up; the next call does not count as an attempt.
    """

    status = 502
    retry_here = False
    try_elsewhere = True
    blames = True
    provider_wide = False
    keeps_waiting = False

    def __init__(
        self,
        message: str,
        *,
        retry_here: bool | None = None,
        try_elsewhere: bool | None = None,
        blames: bool | None = None,
        provider_wide: bool | None = None,
        wait: float | None = None,
        **members: Any,
    ) -> None:
        super().__init__(message, **members)
        self.retry_here = self.retry_here if retry_here is None else retry_here
        self.try_elsewhere = self.try_elsewhere if try_elsewhere is None else try_elsewhere
        self.blames = self.blames if blames is None else blames
        self.provider_wide = self.provider_wide if provider_wide is None else provider_wide
        self.wait = wait


class Unreachable(UpstreamError):
    """No connection: refused, DNS, TLS. Nothing was sent, so a retry has no cost."""

    code = "upstream_unreachable"
    retry_here = True
    provider_wide = True


class Dropped(UpstreamError):
    """The connection broke before the answer began."""

    code = "upstream_disconnected"
    retry_here = True


class Truncated(UpstreamError):
    """The answer ended without a finish, so it is not complete."""

    code = "upstream_truncated"
    retry_here = True


class Malformed(UpstreamError):
    """The provider sent something that its protocol does not allow."""

    code = "upstream_protocol_error"
    retry_here = True


class Misspoken(Malformed):
    """The answer cannot be read by clients of the dialect. It has not begun, so the provider may be asked in another
    dialect.
    """


class TimedOut(UpstreamError):
    """The provider was too slow; `code` says where: headers, first content chunk, idle, whole answer."""

    status = 504
    code = "upstream_timeout"


class Saturated(UpstreamError):
    """The gateway's queue for this provider is full, or the wait in it was too long. Nothing was sent."""

    status = 429
    code = "upstream_saturated"
    blames = False


class BreakerOpen(UpstreamError):
    """The circuit breaker is open: the provider failed too often and is not called for a while."""

    status = 503
    code = "upstream_unavailable"
    blames = False


def forget_traceback(error: BaseException | None) -> None:
    """Removes the traceback: its frames refer to the whole request, and ended requests are kept for a long time."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


class StoreError(GatewayError):
    """The database cannot be read or written at the moment.

    detail: more for the operator, not for clients. unsure: the change may have been written nevertheless.
    """

    status = 503
    code = "storage_unavailable"
    detail = ""
    unsure = False


class Damaged(StoreError):
    """The database file is damaged. It is not changed."""

    status = 500
    code = "storage_damaged"


class NotFound(GatewayError):
    """Does not exist, or belongs to another key: the answer is the same."""

    status = 404
    code = "not_found"
