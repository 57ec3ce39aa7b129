"""Proves that a request comes from a peer, without ever sending the secret: a signature (HMAC-SHA256) over what is asked.

A signature holds for one method, target and body, one receiver, half a minute, and one use. Pure: times are values.
"""

from __future__ import annotations

import base64
import hmac
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Literal

import orjson

PROTOCOL = 1  # raised when replicas of before could not understand those of now
WINDOW = 30.0  # seconds by which a signature may be old, or the clocks differ
_LONGEST = 4096  # of a header
_DOMAIN = b"llmproxy peer 1\n"

Scope = Literal["worker", "machine"]


@dataclass(frozen=True, slots=True)
class Claims:
    """What a peer says with a request.

    to: the instance that it asks, empty where it asks who that is. at: Unix seconds. caller, admin: on whose behalf. body: the
    SHA-256 of the request's body. sender: its name, for the log.
    """

    at: float
    nonce: str
    to: str = ""
    caller: str = ""
    admin: bool = False
    body: str = ""
    sender: str = ""


def signed(secret: bytes, method: str, target: str, claims: Claims) -> str:
    """The header's value."""
    told = base64.urlsafe_b64encode(orjson.dumps(asdict(claims)))
    return f"{PROTOCOL}.{told.decode()}.{_mac(secret, method, target, told)}"


def read(secret: bytes, method: str, target: str, header: str) -> Claims | None:
    """What a peer says; None if it is none that knows the secret. Whether it is fresh, `Fresh` says."""
    protocol, _, rest = header.partition(".")
    told, _, mac = rest.partition(".")
    if protocol != str(PROTOCOL) or len(header) > _LONGEST or not mac.isascii():
        return None
    raw = told.encode("utf-8", "surrogateescape")
    if not hmac.compare_digest(mac, _mac(secret, method, target, raw)):
        return None
    return _claims(orjson.loads(base64.urlsafe_b64decode(raw)))


def proof(secret: bytes, nonce: str, body: bytes) -> str:
    """By which an answer shows that it comes from somebody who knows the secret, and was made for this question."""
    return hmac.new(secret, _DOMAIN + b"answer\n" + nonce.encode() + b"\n" + body, sha256).hexdigest()


def is_proof(secret: bytes, nonce: str, body: bytes, given: str) -> bool:
    return given.isascii() and hmac.compare_digest(given, proof(secret, nonce, body))


def digest(body: bytes) -> str:
    return sha256(body).hexdigest()


class Fresh:
    """Knows the signatures of the last moments, so that none counts twice."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._until: deque[tuple[float, str]] = deque()  # when each may be forgotten, the oldest first

    def take(self, claims: Claims, now: float) -> bool:
        """Whether it is neither too old, nor of the future, nor used before."""
        while self._until and self._until[0][0] < now:
            self._seen.discard(self._until.popleft()[1])
        if abs(now - claims.at) > WINDOW or claims.nonce in self._seen:
            return False
        self._seen.add(claims.nonce)
        self._until.append((now + 2 * WINDOW, claims.nonce))
        return True


def _mac(secret: bytes, method: str, target: str, told: bytes) -> str:
    said = b"\n".join((method.encode(), target.encode("utf-8", "surrogateescape"), told))
    return hmac.new(secret, _DOMAIN + said, sha256).hexdigest()


def _claims(told: Mapping[str, Any]) -> Claims:
    """Members that a newer replica adds are none of ours."""
    return Claims(**{name: told[name] for name in Claims.__slots__ if name in told})
