"""Detects request loops: each gateway adds its ID to a header, and recognises its own."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar

from .errors import GatewayError

HEADER = "X-LLMProxy-Hops"
OWN = secrets.token_hex(6)  # this process and the workers that it forks
LOOP = 508  # Loop Detected (RFC 5842)
_NOTHING: Mapping[str, str] = {}
_OURS: Mapping[str, str] = {HEADER: OWN}
_MOST = 8  # gateways in a row, of any kind
_FORM = re.compile(r"[0-9a-f]{12}(?:, ?[0-9a-f]{12})*")

passed: ContextVar[str] = ContextVar("hops", default=OWN)  # the header value for requests to providers


def arrive(given: str | None) -> None:
    """Reads which gateways the current request has passed. Raises GatewayError with status 508 if this gateway is one
    of them.
    """
    if given is None:
        if passed.get() is not OWN:  # from another request on the same connection
            passed.set(OWN)
        return
    names = given.replace(" ", "").split(",") if _FORM.fullmatch(given) else []
    if OWN in names or len(names) >= _MOST:
        raise GatewayError(
            "Request loop: one of this gateway's providers sends requests back to this gateway.",
            status=LOOP,
            code="loop_detected",
            headers={"x-should-retry": "false"},
        )
    passed.set(", ".join((*names, OWN)))


def headers(traced: Mapping[str, str] = _NOTHING) -> Mapping[str, str]:
    """The header of passed gateways, including this one, for a request to a provider. traced: headers of the trace context."""
    names = passed.get()
    return _OURS if names is OWN and not traced else {HEADER: names, **traced}
