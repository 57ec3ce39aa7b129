"""Test harness of a check: a client of the gateway, the test provider behind it, and what each of them saw."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from ..answer import Answer, read
from ..connection import Behaviour, Exchange
from ..event_order import Violation
from ..provider import JSON_TYPE, SSE_TYPE, FakeProvider
from ..samples import as_bytes, failure, sse
from .events import reframed
from .provider_apis import API_NAMES, ProviderApi, provider_api_of
from .scripted_reply import ScriptedReply
from .stored_response import StoredResponse

Run = Callable[["Harness"], Awaitable[str]]
CHAT = "/v1/chat/completions"
CLOSES_WITHIN = 3.0  # seconds between the client's disconnect and the closing of the upstream connection


class Failed(Exception):
    """A check failed; the message is what was seen instead."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check. run: returns a few words on what was seen, raises Failed if it was wrong.

    asks: the check needs a call of the provider, so it fails if the gateway makes none.
    """

    group: str
    name: str
    run: Run
    asks: bool = True


@dataclass(slots=True)
class Seen:
    """One answer as a client saw it. broken: the connection ended within the body."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)
    broken: bool = False

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    @property
    def is_stream(self) -> bool:
        return self.content_type.startswith("text/event-stream")

    @property
    def events(self) -> bytes:
        return reframed(self.body)

    @property
    def answer(self) -> Answer:
        try:
            return read(self.events if self.is_stream else self.body, self.content_type)
        except (ValueError, AttributeError, TypeError) as error:
            raise Failed(f"unreadable: {self.body[:80]!r}") from error

    @property
    def shows_failure(self) -> bool:
        """Whether a client can know that the answer is not complete."""
        return self.status >= 400 or self.broken or self.answer.error is not None


class Harness:
    """Calls the gateway at `url` with `model`; `provider` is its upstream. headers: sent with every request."""

    def __init__(
        self,
        url: str,
        provider: FakeProvider,
        client: aiohttp.ClientSession,
        model: str,
        key: str,
        headers: Mapping[str, str],
        apis: Collection[str] = API_NAMES,
    ) -> None:
        self.apis = apis  # the APIs of the provider
        self.provider = provider
        self.model = model
        self._url = url.rstrip("/").removesuffix("/v1")
        self._client = client
        self.key = key
        self._headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **headers}

    # The provider's part

    def always(self, behaviour: Behaviour) -> None:
        """Every POST gets this answer, also each retry of the gateway."""
        self.provider.route = lambda exchange: behaviour if exchange.method == "POST" else None

    def streams(self, body: bytes, **how: Any) -> None:
        self.always(Behaviour(how.pop("pieces", [body]), headers=how.pop("headers", SSE_TYPE), **how))

    def answers(self, body: object, status: int = 200, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.always(Behaviour([as_bytes(body)], status, {**JSON_TYPE, **named}, framing="length"))

    def completes(self, body: dict[str, Any]) -> None:
        """Answers with a chat completion; as a stream if the gateway asks for one although its client did not."""
        whole = Behaviour([as_bytes(body)], headers=JSON_TYPE, framing="length")
        streamed = Behaviour([as_stream(body)], headers=SSE_TYPE)
        self.provider.route = lambda asked: None if asked.method != "POST" else streamed if _streams(asked) else whole

    def answers_in_api(self, how: Callable[[ProviderApi, bool], Behaviour]) -> None:
        """The provider answers in the API of the request; 404 if it does not have it. how: gets that API, and whether to stream."""

        def route(asked: Exchange) -> Behaviour | None:
            if asked.method != "POST":
                return None
            api = provider_api_of(asked.path)
            if api is None or api.name not in self.apis:
                return Behaviour([as_bytes(failure(404))], 404, JSON_TYPE, framing="length")
            return how(api, _streams(asked))

        self.provider.route = route

    def replies_with(self, reply: ScriptedReply, **how: Any) -> None:
        """The provider sends this reply, streamed or not. With Responses it also stores it until it is deleted."""

        def answer(api: ProviderApi, stream: bool) -> Behaviour:
            if stream:
                return Behaviour([api.stream(reply)], headers=SSE_TYPE, **how)
            return Behaviour([as_bytes(api.answer(reply))], headers=JSON_TYPE, framing="length")

        self.answers_in_api(answer)
        asks, kept = self.provider.route, StoredResponse(reply)

        def route(asked: Exchange) -> Behaviour | None:
            if asked.method == "POST" or "responses" not in self.apis:
                return asks(asked) if asks else None
            return kept.look_up(asked, self.received)

        self.provider.route = route

    def refuses(self, status: int, message: str, code: str, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        def answer(api: ProviderApi, stream: bool) -> Behaviour:
            del stream
            body = as_bytes(api.error(status, message, code))
            return Behaviour([body], status, {**JSON_TYPE, **named}, framing="length")

        self.answers_in_api(answer)

    def clear(self) -> None:
        self.provider.route = None
        self.provider.forget()

    @property
    def asked(self) -> list[Exchange]:
        return self.provider.exchanges

    @property
    def received(self) -> list[Exchange]:
        """The requests that the provider received in an API that it has."""
        apis = [(one, provider_api_of(one.path)) for one in self.asked]
        return [one for one, api in apis if api is not None and api.name in self.apis]

    # The client's part

    async def ask(self, **members: Any) -> Seen:
        async with self.asking(**members) as response:
            return await taken(response)

    async def stream(self, **members: Any) -> Seen:
        return await self.ask(stream=True, **members)

    @asynccontextmanager
    async def asking(self, *, path: str = CHAT, **members: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        async with self.send("POST", self.address(path, **members), self.body(path, members)) as response:
            yield response

    async def reads_until(self, text: bytes, *, path: str = CHAT, **members: Any) -> None:
        """Asks for a stream and reads until `text` has come. Raises Failed if the stream ends before."""
        async with self.asking(path=path, stream=True, **members) as response:
            got = b""
            while text not in got:
                piece = await response.content.readany()
                expect(piece, f"the stream ended: {got[:100]!r}")
                got += piece

    def address(self, path: str, *, model: str = "", stream: bool = False, **_: Any) -> str:
        """The path, with model and method if the API has them in the path."""
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return path.format(model=model or self.model, method=method)

    def body(self, path: str, members: Mapping[str, Any]) -> bytes:
        if "{model}" in path:
            return as_bytes({name: value for name, value in members.items() if name not in ("model", "stream")})
        hello = {"messages": [{"role": "user", "content": "Hello"}]} if path == CHAT else {}
        return as_bytes({"model": self.model, **hello, **members})

    @asynccontextmanager
    async def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {**self._headers, **(JSON_TYPE if body is not None else {}), **(headers or {})}
        async with self._client.request(method, self._url + path, data=body, headers=headers) as response:
            yield response

    async def disconnects(self, *, after: int, path: str = CHAT, **members: Any) -> float:
        """Asks, and disconnects after this number of bytes (0: when the upstream was called).

        Returns the milliseconds until the upstream connection was closed. Raises Failed if it stays open.
        """
        asking = asyncio.ensure_future(self._read_some(after, path, members))
        try:
            exchange = await self.provider.received()
            if after:
                await asyncio.shield(asking)
        finally:
            asking.cancel()
            left = time.monotonic()
            await _hang_up(asking)
        return await _closed_after(exchange, left)

    async def _read_some(self, after: int, path: str, members: dict[str, Any]) -> aiohttp.ClientResponse:
        body, headers = self.body(path, members), {**self._headers, **JSON_TYPE}
        response = await self._client.post(self._url + self.address(path, **members), data=body, headers=headers)
        if after:
            await response.content.readexactly(after)
        return response


async def _hang_up(asking: asyncio.Future[aiohttp.ClientResponse]) -> None:
    (response,) = await asyncio.gather(asking, return_exceptions=True)
    if isinstance(response, aiohttp.ClientResponse):
        response.close()


async def _closed_after(exchange: Exchange, left: float) -> float:
    expect(not exchange.closed.is_set(), "the upstream was closed before the client disconnected")
    try:
        async with asyncio.timeout(CLOSES_WITHIN):
            await exchange.closed.wait()
    except TimeoutError:
        raise Failed(f"the upstream was still open {CLOSES_WITHIN:g} s after the client disconnected") from None
    assert exchange.closed_at is not None
    return (exchange.closed_at - left) * 1000


def _streams(exchange: Exchange) -> bool:
    return bool(exchange.json.get("stream")) or ":streamGenerateContent" in exchange.path


def as_stream(body: dict[str, Any]) -> bytes:
    """The stream, with usage, for a chat.completion object."""
    head = {**body, "object": "chat.completion.chunk", "usage": None}
    reply = [{**choice, "delta": choice["message"], "finish_reason": None} for choice in body["choices"]]
    ends = [{"index": one["index"], "delta": {}, "finish_reason": one["finish_reason"]} for one in body["choices"]]
    for choice in reply:
        del choice["message"]
    return sse({**head, "choices": reply}, {**head, "choices": ends}, {**head, "choices": [], "usage": body["usage"]})


async def taken(response: aiohttp.ClientResponse) -> Seen:
    """Reads the answer to its end, or until the connection breaks."""
    pieces: list[bytes] = []
    broken = False
    try:
        async for piece in response.content.iter_any():
            pieces.append(piece)
    except (aiohttp.ClientError, ConnectionError):
        broken = True
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Seen(response.status, headers, b"".join(pieces), broken)


def expect(true: object, seen: object) -> None:
    if not true:
        raise Failed(str(seen)[:200])


def clean(violations: list[Violation]) -> None:
    expect(not violations, "; ".join(map(str, violations[:3])))


def in_order(violations: list[Violation]) -> None:
    """As `clean`, but accepts missing members: the checks of the group `shape` report them once."""
    clean([one for one in violations if one.what != "missing"])
