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
FACE = "X-LLMProxy-Peer-Face"  # in whose dialect the errors of a stream are told
HELLO = "/internal/peer"
PATIENCE, SHORT = 2.0, 0.3  # seconds for an answer; of one that did not answer before
_KEPT = 60.0  # seconds that an idle connection is kept: less than the server keeps it
_BROKEN = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError)

State = Literal["unknown", "up", "gone", "silent", "strange"]


@dataclass(frozen=True, slots=True)
class Question:
    """A client's request as it is passed on. `path` has the query. caller, admin: on whose behalf."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    caller: str = ""
    admin: bool = False


class Unreachable(Exception):
    """A peer has not answered.

    state: `gone` where nobody listens, so that nothing can run there; `silent` where nothing is known; `strange` where
    somebody else answers than a replica that knows the secret.
    """

    def __init__(self, state: State, reason: str) -> None:
        super().__init__(reason)
        self.state = state


@dataclass(frozen=True, slots=True)
class Link:
    """How a peer is reached: over a Unix socket, or at a URL, by TLS where there is a context."""

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
    """`identity` is who answered there last; another one may have taken its place since."""

    def __init__(self, link: Link, secret: bytes, own: Identity) -> None:
        self.link = link
        self.identity: Identity | None = None
        self.state: State = "unknown"
        self._secret = secret
        self._own = own
        self._offset = 0.0  # of its clock to ours, in seconds
        self._session: aiohttp.ClientSession | None = None

    @property
    def name(self) -> str:
        """For people: what it calls itself, or where it is."""
        return self.identity.name if self.identity is not None else self.link.url.partition("://")[2]

    @property
    def patience(self) -> float:
        return SHORT if self.state in ("silent", "strange") else PATIENCE

    async def greet(self, seconds: float) -> Identity:
        """Who it is now. Raises Unreachable."""
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
            raise self._is("strange", f"answered {response.status}, not as a replica that knows the secret")
        identity = Identity.told(orjson.loads(body))
        if identity.protocol != PROTOCOL:
            raise self._is("strange", f"speaks protocol {identity.protocol}, not {PROTOCOL}")
        self._offset = identity.now - (asked + time.time()) / 2
        self.identity, self.state = identity, "up"
        return identity

    async def ask(self, question: Question, seconds: float | None = None) -> aiohttp.ClientResponse:
        """The head of its answer; whoever asks closes it. Raises Unreachable."""
        async with self._within(self.patience if seconds is None else seconds):
            response = await self._told(question)
            if STALE in response.headers:  # it was replaced, or its clock was set
                response.release()
                self.identity = None
                response = await self._told(question)
                if STALE in response.headers:
                    response.close()
                    raise self._is("strange", "takes our signatures for old")
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

    async def _told(self, question: Question) -> aiohttp.ClientResponse:
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
        except _BROKEN:  # a kept connection that was just being closed; what is asked of a peer may be asked twice
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

    def _is(self, state: State, reason: str) -> Unreachable:
        self.state = state
        return Unreachable(state, reason)

    def failed(self, error: Exception) -> Unreachable:
        """What a failure of its connection says of it."""
        cause = getattr(error, "os_error", error)
        if isinstance(cause, (ConnectionRefusedError, FileNotFoundError)):
            return self._is("gone", "nobody listens there")
        if isinstance(error, TimeoutError):
            return self._is("silent", "did not answer in time")
        kind: State = "strange" if isinstance(error, aiohttp.ClientSSLError) else "silent"
        return self._is(kind, type(error).__name__)


class _Within:
    """A deadline, by which every failure of the connection becomes Unreachable."""

    __slots__ = ("_peer", "_timeout")

    def __init__(self, peer: Peer, seconds: float) -> None:
        self._peer = peer
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)  # type: ignore[arg-type]  # a traceback, as it came
        except TimeoutError as late:
            raise self._peer.failed(late) from None
        if isinstance(error, (aiohttp.ClientError, OSError, ValueError, TypeError)) and not isinstance(
            error, Unreachable
        ):
            raise self._peer.failed(error) from error
