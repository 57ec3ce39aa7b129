"""Client for one other process: kept connections, and calls with a deadline."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import aiohttp
import orjson
from yarl import URL

from .identity import Identity
from .signature import PROTOCOL, Claims, digest, is_proof, signed

HEADER, PROOF, STALE = "X-LLMProxy-Peer", "X-LLMProxy-Peer-Proof", "X-LLMProxy-Peer-Stale"
FACE = "X-LLMProxy-Peer-Face"  # the API whose form a stream's errors have
HELLO = "/internal/peer"
PATIENCE, SHORT = 2.0, 0.3  # seconds to wait for an answer; for a peer that did not answer the last time
_KEPT = 60.0  # seconds to keep an idle connection: less than the server does
_BROKEN = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError)

State = Literal["unknown", "up", "gone", "silent", "strange"]


@dataclass(frozen=True, slots=True)
class Question:
    """A request to a peer. path: with the query. caller, admin: the client for which this process asks."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    caller: str = ""
    admin: bool = False


class Unreachable(Exception):
    """A peer has not answered.

    state: `gone` if nothing listens at the address, so no request can run there; `silent` if there was no answer; `strange` if
    the process that answers does not know the secret.
    """

    def __init__(self, state: State, reason: str) -> None:
        super().__init__(reason)
        self.state = state


@dataclass(frozen=True, slots=True)
class Link:
    """The address of a peer: a Unix socket, or a URL. tls: None for plain HTTP or the default certificates."""

    url: str
    socket: Path | None = None
    tls: ssl.SSLContext | None = None

    def session(self) -> aiohttp.ClientSession:
        connector: aiohttp.BaseConnector
        if self.socket is not None:
            connector = aiohttp.UnixConnector(str(self.socket), limit=0, keepalive_timeout=_KEPT)
        else:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEPT, ssl=self.tls or True)
        return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(), auto_decompress=False)


class Peer:
    """Client for one peer. identity: the process that answered last; it may have been replaced since."""

    def __init__(self, link: Link, secret: bytes, own: Identity) -> None:
        self.link = link
        self.identity: Identity | None = None
        self.state: State = "unknown"
        self._secret = secret
        self._own = own
        self._offset = 0.0  # seconds: its clock minus this one
        self._session: aiohttp.ClientSession | None = None

    @property
    def name(self) -> str:
        """Its own name if known, otherwise its address."""
        return self.identity.name if self.identity is not None else self.link.url.partition("://")[2]

    @property
    def patience(self) -> float:
        return SHORT if self.state in ("silent", "strange") else PATIENCE

    async def greet(self, seconds: float) -> Identity:
        """Asks for its identity. Raises Unreachable."""
        nonce = secrets.token_hex(8)
        asked = time.time()
        claims = Claims(asked, nonce, sender=self._own.name)
        async with self._within(seconds):
            response = await self._call(Question("GET", HELLO, {}), claims)
            try:
                body = await response.read()
            finally:
                response.release()
        if response.status != 200 or not is_proof(self._secret, nonce, body, response.headers.get(PROOF, "")):
            raise self._unreachable("strange", f"answered {response.status}, not as a replica that knows the secret")
        identity = Identity.from_json(orjson.loads(body))
        if identity.protocol != PROTOCOL:
            raise self._unreachable("strange", f"speaks protocol {identity.protocol}, not {PROTOCOL}")
        self._offset = identity.now - (asked + time.time()) / 2
        self.identity, self.state = identity, "up"
        return identity

    async def ask(self, question: Question, seconds: float | None = None) -> aiohttp.ClientResponse:
        """The response with its body unread; the caller closes it. Raises Unreachable."""
        async with self._within(self.patience if seconds is None else seconds):
            response = await self._send_signed_to(question)
            if STALE in response.headers:  # the process was replaced, or its clock changed
                response.release()
                self.identity = None
                response = await self._send_signed_to(question)
                if STALE in response.headers:
                    response.close()
                    raise self._unreachable("strange", "refuses the signatures as too old")
        self.state = "up"
        return response

    async def read(self, question: Question, seconds: float | None = None) -> tuple[int, bytes]:
        """Status and body. Raises Unreachable."""
        limit = self.patience if seconds is None else seconds
        async with self._within(limit):
            response = await self.ask(question, limit)
            try:
                return response.status, await response.read()
            finally:
                response.release()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _send_signed_to(self, question: Question) -> aiohttp.ClientResponse:
        identity = self.identity or await self.greet(PATIENCE)
        claims = Claims(
            time.time() + self._offset,
            secrets.token_hex(8),
            identity.instance,
            question.caller,
            question.admin,
            digest(question.body),
            self._own.name,
        )
        return await self._call(question, claims)

    async def _call(self, question: Question, claims: Claims) -> aiohttp.ClientResponse:
        try:
            return await self._send(question, claims)
        except aiohttp.ClientConnectorError:
            raise
        except _BROKEN:  # the peer closed a kept connection; requests to peers are safe to repeat
            return await self._send(question, replace(claims, nonce=claims.nonce + "-again") if claims.to else claims)

    async def _send(self, question: Question, claims: Claims) -> aiohttp.ClientResponse:
        if self._session is None:
            self._session = self.link.session()
        url = URL(f"{self.link.url}{question.path}", encoded=True)
        header = signed(self._secret, question.method, url.raw_path_qs, claims)
        headers = {**question.headers, HEADER: header}
        return await self._session.request(
            question.method, url, headers=headers, data=question.body or None, allow_redirects=False
        )

    def _within(self, seconds: float) -> _Within:
        return _Within(self, seconds)

    def _unreachable(self, state: State, reason: str) -> Unreachable:
        self.state = state
        return Unreachable(state, reason)

    def failed(self, error: Exception) -> Unreachable:
        """The error and the new state for a failed connection."""
        cause = getattr(error, "os_error", error)
        if isinstance(cause, (ConnectionRefusedError, FileNotFoundError)):
            return self._unreachable("gone", "nothing listens there")
        if isinstance(error, TimeoutError):
            return self._unreachable("silent", "did not answer in time")
        kind: State = "strange" if isinstance(error, aiohttp.ClientSSLError) else "silent"
        return self._unreachable(kind, type(error).__name__)


class _Within:
    """A timeout that turns every connection failure into Unreachable."""

    __slots__ = ("_peer", "_timeout")

    def __init__(self, peer: Peer, seconds: float) -> None:
        self._peer = peer
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)  # type: ignore[arg-type]  # `trace` is a traceback
        except TimeoutError as late:
            raise self._peer.failed(late) from None
        if isinstance(error, (aiohttp.ClientError, OSError, ValueError, TypeError)) and not isinstance(
            error, Unreachable
        ):
            raise self._peer.failed(error) from error
