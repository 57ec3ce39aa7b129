"""Detects request loops: each gateway adds its name to one header, and recognises it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar

from .adapter import Outgoing
from .errors import GatewayError

HEADER = "X-LLMProxy-Hops"
OWN = secrets.token_hex(6)  # this process and the workers that it forks
LOOP = 508  # Loop Detected (RFC 5842)
_NOTHING: Mapping[str, str] = {}
_MOST = 8  # gateways in a row, whoever they are
_FORM = re.compile(r"[0-9a-f]{12}(?:, ?[0-9a-f]{12})*")

passed: ContextVar[str] = ContextVar("hops", default=OWN)  # what requests to providers say


def arrive(given: str | None) -> None:
    """Notes the gateways that the current request has passed. Raises GatewayError: 508 if we are one of them."""
    if given is None:
        if passed.get() is not OWN:  # another request's, on the same connection
            passed.set(OWN)
        return
    names = given.replace(" ", "").split(",") if _FORM.fullmatch(given) else []
    if OWN in names or len(names) >= _MOST:
        raise GatewayError(
            "The request has come round in a circle: one of this gateway's providers leads back to the gateway itself.",
            status=LOOP,
            code="loop_detected",
            headers={"x-should-retry": "false"},
        )
    passed.set(", ".join((*names, OWN)))


def told(asked: Outgoing, traced: Mapping[str, str] = _NOTHING) -> Outgoing:
    """The request with the gateways that it has passed, us among them. traced: headers that say in which trace it is."""
    return Outgoing(asked.url, asked.body, {**asked.headers, HEADER: passed.get(), **traced}, asked.method)
