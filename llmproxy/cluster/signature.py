"""Authenticates requests between peers by HMAC-SHA256 signatures. The shared secret is never sent.

A signature is valid for one method, target and body, one receiver, half a minute, and one use. Pure: times are values.
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

PROTOCOL = 1  # increased when older replicas could not understand newer ones
WINDOW = 30.0  # seconds: the largest age of a signature, and the largest difference of two clocks
_LONGEST = 4096  # characters of a header
_DOMAIN = b"llmproxy peer 1\n"

Scope = Literal["worker", "machine"]


@dataclass(frozen=True, slots=True)
class Claims:
    """The signed data of a peer's request.

    at: Unix seconds. nonce: random, never used twice. to: the receiving instance; empty in a greeting, which asks for it.
    caller, admin: the client for which the peer asks. body: the SHA-256 of the request's body. sender: the peer's name, for the
    log.
    """

    at: float
    nonce: str
    to: str = ""
    caller: str = ""
    admin: bool = False
    body: str = ""
    sender: str = ""


def signed(secret: bytes, method: str, target: str, claims: Claims) -> str:
    """The value of the signature header."""
    encoded = base64.urlsafe_b64encode(orjson.dumps(asdict(claims)))
    return f"{PROTOCOL}.{encoded.decode()}.{_mac(secret, method, target, encoded)}"


def read(secret: bytes, method: str, target: str, header: str) -> Claims | None:
    """The claims of a valid signature, otherwise None. `ReplayGuard` checks its age, and that it is used once."""
    protocol, _, rest = header.partition(".")
    encoded, _, mac = rest.partition(".")
    if protocol != str(PROTOCOL) or len(header) > _LONGEST or not mac.isascii():
        return None
    raw = encoded.encode("utf-8", "surrogateescape")
    if not hmac.compare_digest(mac, _mac(secret, method, target, raw)):
        return None
    return _claims(orjson.loads(base64.urlsafe_b64decode(raw)))


def proof(secret: bytes, nonce: str, body: bytes) -> str:
    """Shows that an answer comes from a process that knows the secret, and was made for the request with this nonce."""
    return hmac.new(secret, _DOMAIN + b"answer\n" + nonce.encode() + b"\n" + body, sha256).hexdigest()


def is_proof(secret: bytes, nonce: str, body: bytes, given: str) -> bool:
    return given.isascii() and hmac.compare_digest(given, proof(secret, nonce, body))


def digest(body: bytes) -> str:
    return sha256(body).hexdigest()


class ReplayGuard:
    """Remembers recent signatures, and refuses a second use."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._until: deque[tuple[float, str]] = deque()  # Unix seconds until which each is remembered, the oldest first

    def take(self, claims: Claims, now: float) -> bool:
        """Whether the signature is neither too old, nor from the future, nor used before. now: Unix seconds."""
        while self._until and self._until[0][0] < now:
            self._seen.discard(self._until.popleft()[1])
        if abs(now - claims.at) > WINDOW or claims.nonce in self._seen:
            return False
        self._seen.add(claims.nonce)
        self._until.append((now + 2 * WINDOW, claims.nonce))
        return True


def _mac(secret: bytes, method: str, target: str, claims: bytes) -> str:
    message = b"\n".join((method.encode(), target.encode("utf-8", "surrogateescape"), claims))
    return hmac.new(secret, _DOMAIN + message, sha256).hexdigest()


def _claims(members: Mapping[str, Any]) -> Claims:
    """Members that only a newer version knows are ignored."""
    return Claims(**{name: members[name] for name in Claims.__slots__ if name in members})
