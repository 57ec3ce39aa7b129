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
    """OpenAI's `type` for an HTTP status, where nobody said a better one."""
    return _TYPE_BY_STATUS.get(status, "server_error" if status >= 500 else "invalid_request_error")


class GatewayError(Exception):
    """A failure that a client can act on. `extra` are the provider's further members of the error object."""

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
        """`{"error": {"message", "type", "param", "code", ...}}`: all four always there, `code` a string or null."""
        error = {**self.extra, "message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": error}

    def as_bytes(self) -> bytes:
        return orjson.dumps(self.as_json())


class BadRequest(GatewayError):
    """The client's mistake, found by us before any provider was asked."""

    status = 400


class ModelNotFound(GatewayError):
    """No provider serves a model of that name."""

    status = 404
    code = "model_not_found"


class Cancelled(GatewayError):
    """Somebody stopped the request; `by` is one of the causes in `lifecycle.STOPPED`."""

    status = 499
    code = "request_cancelled"

    @classmethod
    def because(cls, by: str) -> Cancelled:
        """What its client is told; nobody is to send it again by itself."""
        row = STOPPED.get(by, STOPPED["api"])
        kind = "insufficient_quota" if row.code == "insufficient_quota" else None
        headers = {"x-should-retry": "false"}
        return cls(row.say, status=row.status, type=kind, code=row.code, headers=headers, extra={"by": by})


class LifecycleError(GatewayError):
    """An event that cannot happen in the phase that the request is in: a mistake of the gateway's."""

    code = "internal_error"

    def __init__(self, phase: Phase, event: Event) -> None:
        super().__init__("The gateway failed.")
        self.phase = phase
        self.event = event


class UpstreamError(GatewayError):
    """A provider failed.

    retry_here: asking the same provider again may help.
    try_elsewhere: another provider may answer the same request.
    wait: seconds the provider asked us to wait, or None.
    blames: whether the failure says something about the provider, and so counts for its breaker.
    provider_wide: it concerns every model of the provider, not only the one that was asked.
    keeps_waiting: it is only starting up; asking again does not count as a try.
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
    """No connection: refused, DNS, TLS. Nothing was sent, so asking again costs nothing."""

    code = "upstream_unreachable"
    retry_here = True
    provider_wide = True


class Dropped(UpstreamError):
    """The connection broke before the answer began."""

    code = "upstream_disconnected"
    retry_here = True


class Truncated(UpstreamError):
    """The answer ended without a finish: never to be mistaken for a complete one."""

    code = "upstream_truncated"
    retry_here = True


class Malformed(UpstreamError):
    """The provider sent what its protocol does not allow."""

    code = "upstream_protocol_error"
    retry_here = True


class Misspoken(Malformed):
    """The answer is not what clients of the dialect can read. It has not begun: the provider may be asked in another one."""


class TimedOut(UpstreamError):
    """The provider was too slow; `code` says at what: headers, first frame, idle, a whole answer."""

    status = 504
    code = "upstream_timeout"


class Saturated(UpstreamError):
    """Our own queue for this provider is full, or the wait in it was too long: nothing was sent."""

    status = 429
    code = "upstream_saturated"
    blames = False


class BreakerOpen(UpstreamError):
    """The provider failed too often just now: it is left alone for a while."""

    status = 503
    code = "upstream_unavailable"
    blames = False


def forget_traceback(error: BaseException | None) -> None:
    """Forgets where it was raised: those frames hold the whole question, and an ended request is remembered for long."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


class StoreError(GatewayError):
    """Nothing can be kept or read just now.

    detail: what the operator is told beyond that, and no client. unsure: the change may have been made all the same.
    """

    status = 503
    code = "storage_unavailable"
    detail = ""
    unsure = False


class Damaged(StoreError):
    """The file is not a sound database. It is left as it is."""

    status = 500
    code = "storage_damaged"


class NotFound(GatewayError):
    """There is no such thing, or it is another key's: the answer is the same."""

    status = 404
    code = "not_found"
