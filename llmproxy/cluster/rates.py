"""Shared rate limits in Redis or Valkey, for several processes. Requests that arrive together are sent in one round trip.

While the server does not answer, no request waits for it: each process applies its share of the limit, and reconnects.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from llmproxy.accounts.together import Step, Taken
from llmproxy.observe.log import log
from llmproxy.observe.periodic import failed

from .script import SCRIPT

if TYPE_CHECKING:
    from redis.asyncio import Redis

WAIT = 0.05  # seconds that a request waits for the server
LEASE = 15.0  # seconds until a request of a dead process no longer counts as running
_RECONNECT = 0.2  # seconds between two attempts to connect
_CONNECT = 0.5  # seconds to wait for a connection
_BATCH = 200  # calls in one round trip
PREFIX = "llmproxy:{limits}:"  # Redis Cluster keeps keys with the same word in braces on one server


class _Call(NamedTuple):
    """answer: None if nothing waits for the result."""

    steps: Sequence[Step]
    answer: asyncio.Future[Taken | None] | None
    mode: str  # take, add or keep
    now: float | None  # Unix seconds; None: the server's clock


class Rates:
    """The shared limits. clock: None means the server's clock; tests give the time."""

    def __init__(self, url: str, *, prefix: str = PREFIX, wait: float = WAIT) -> None:
        self.is_there = False
        self.clock: Callable[[], float | None] = lambda: None
        self.found = asyncio.Event()
        self._url = url
        self._prefix = prefix
        self._wait = wait
        self._waiting: deque[_Call] = deque()
        self._wake = asyncio.Event()
        self._open: dict[str, list[Step]] = {}  # member: the steps that count it as running
        self._reason = ""  # the last failure, as logged

    async def take(self, steps: Sequence[Step]) -> Taken | None:
        if not self.is_there:
            return None
        answer: asyncio.Future[Taken | None] = asyncio.get_running_loop().create_future()
        self._ask(_Call(steps, answer, "take", self.clock()))
        try:
            async with asyncio.timeout(self._wait):
                return await answer
        except TimeoutError:
            return None

    def add(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if step.kind == "release":
                self._open.pop(step.member, None)
        if self.is_there and steps:
            self._ask(_Call(steps, None, "add", self.clock()))
            self._remember(steps)

    async def run(self) -> None:
        """Keeps the connection until the process ends."""
        while True:
            client = None
            try:
                client = self._client()
                await self._serve(client)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001  # any failure is followed by another attempt
                self._log_failure(error)
            finally:
                self.is_there = False
                self.found.clear()
                self._answer_waiting()
                if client is not None:
                    await _close(client)
            await asyncio.sleep(_RECONNECT)

    def _client(self) -> Redis:
        from redis.asyncio import BlockingConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        pool = BlockingConnectionPool.from_url(
            self._url, max_connections=1, timeout=None, retry=Retry(NoBackoff(), 0), socket_connect_timeout=_CONNECT
        )
        return Redis.from_pool(pool)

    async def _serve(self, client: Redis) -> None:
        """Sends waiting calls until one fails."""
        timeout = max(_CONNECT, self._wait)
        async with asyncio.timeout(timeout):
            sha: Any = await client.script_load(SCRIPT)
            await self._renew(client, sha)
        self.is_there = True
        self.found.set()
        if self._reason:
            log.info("limits_together", reason=self._reason)
            self._reason = ""
        loop = asyncio.get_running_loop()
        next_keep = loop.time() + LEASE / 3
        while True:
            try:
                async with asyncio.timeout_at(next_keep):
                    await self._wake.wait()
            except TimeoutError:
                next_keep = loop.time() + LEASE / 3
                async with asyncio.timeout(timeout):
                    await self._renew(client, sha)
                continue
            self._wake.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
                await self._round_trip(client, sha, batch)

    async def _round_trip(self, client: Redis, sha: str, batch: list[_Call]) -> None:
        """One round trip."""
        try:
            async with asyncio.timeout(max(self._wait, WAIT)):
                results = await self._sent(client, sha, batch)
        except BaseException:
            self._waiting.extendleft(reversed(batch))  # `run` answers them
            raise
        for call, result in zip(batch, results, strict=True):
            if not isinstance(result, Exception):
                self._answer(call, result)
                continue
            if not _is_for_one_key(result):
                self._waiting.append(call)  # `run` answers it
                raise result
            failed("limits", result)
            _answer_unknown(call)

    async def _sent(self, client: Redis, sha: str, batch: list[_Call]) -> list[Any]:
        async with client.pipeline(transaction=False) as pipe:
            for call in batch:
                pipe.evalsha(sha, len(call.steps), *self._arguments(call))
            return await pipe.execute(raise_on_error=False)

    async def _renew(self, client: Redis, sha: str) -> None:
        """Renews the leases of running requests."""
        steps = [step for steps in self._open.values() for step in steps]
        for at in range(0, len(steps), _BATCH):
            await self._sent(client, sha, [_Call(steps[at : at + _BATCH], None, "keep", self.clock())])

    def _arguments(self, call: _Call) -> list[Any]:
        now = call.now
        keys = [f"{self._prefix}{step.name}" for step in call.steps]
        values: list[Any] = ["" if now is None else repr(float(now)), call.mode, LEASE]
        for step in call.steps:
            values += [step.kind, repr(float(step.limit)), repr(float(step.amount)), step.member]
        return [*keys, *values]

    def _answer(self, call: _Call, result: list[bytes]) -> None:
        if call.answer is None:
            return
        refused, wait, *states = result
        at = int(refused) - 1
        taken = Taken(at if at >= 0 else None, float(wait), tuple(map(float, states)))
        if taken.refused is None:
            self._remember(call.steps)
        if not call.answer.done():
            call.answer.set_result(taken)
        elif taken.refused is None:  # the caller was cancelled, or no longer waits
            self.add([Step("release", one.name, member=one.member) for one in call.steps if one.kind == "parallel"])

    def _remember(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if step.kind == "parallel":
                self._open.setdefault(step.member, []).append(step)

    def _ask(self, call: _Call) -> None:
        self._waiting.append(call)
        self._wake.set()

    def _answer_waiting(self) -> None:
        """Answers all waiting calls with None: the callers apply their share."""
        while self._waiting:
            _answer_unknown(self._waiting.popleft())

    def _log_failure(self, error: Exception) -> None:
        reason = "does not answer in time" if isinstance(error, TimeoutError) else type(error).__name__
        if reason != self._reason:
            log.warning("limits_apart", reason=reason)
            self._reason = reason


def _answer_unknown(call: _Call) -> None:
    """The caller applies the share of its process."""
    if call.answer is not None and not call.answer.done():
        call.answer.set_result(None)


def _is_for_one_key(error: Exception) -> bool:
    """Whether an error concerns one key only (another program gave it another type), not the server."""
    return str(error).startswith("WRONGTYPE")


async def _close(client: Redis) -> None:
    """Closes the connections; errors are ignored."""
    try:
        async with asyncio.timeout(_CONNECT):
            await client.aclose()
            await client.connection_pool.disconnect(inuse_connections=True)
    except asyncio.CancelledError:
        raise
    except Exception:  # noqa: BLE001  # the connection is not used again
        return
