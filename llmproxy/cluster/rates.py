"""Limits that several processes count together in Redis or Valkey: all that is asked in one moment is one round trip.

While the server does not answer, nobody waits for it: each process counts its share. It is looked for again all the time.
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

WAIT = 0.05  # seconds that a request waits for the count
LEASE = 15.0  # seconds after which a request whose process died is no longer counted at once
_AGAIN = 0.2  # seconds until the server is looked for again
_CONNECT = 0.5  # seconds for that
_MOST = 200  # questions in one round trip
PREFIX = "llmproxy:{limits}:"  # in braces: a cluster of servers keeps them together


class _Asked(NamedTuple):
    """answer: None where nobody waits for one."""

    steps: Sequence[Step]
    answer: asyncio.Future[Taken | None] | None
    mode: str  # take, add or keep
    now: float | None  # empty: the server's time


class Rates:
    """Together, in one server. clock: the server's own, unless a test says the time."""

    def __init__(self, url: str, *, prefix: str = PREFIX, wait: float = WAIT) -> None:
        self.is_there = False
        self.clock: Callable[[], float | None] = lambda: None
        self.found = asyncio.Event()
        self._url = url
        self._prefix = prefix
        self._wait = wait
        self._waiting: deque[_Asked] = deque()
        self._wake = asyncio.Event()
        self._open: dict[str, list[Step]] = {}  # member: where it is counted at once
        self._reason = ""  # why it was away last, as it was logged

    async def take(self, steps: Sequence[Step]) -> Taken | None:
        if not self.is_there:
            return None
        answer: asyncio.Future[Taken | None] = asyncio.get_running_loop().create_future()
        self._ask(_Asked(steps, answer, "take", self.clock()))
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
            self._ask(_Asked(steps, None, "add", self.clock()))
            self._remember(steps)

    async def run(self) -> None:
        """Keeps the connection for as long as the process lives."""
        while True:
            client = None
            try:
                client = self._client()
                await self._serve(client)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is, the next try comes all the same
                self._away(error)
            finally:
                self.is_there = False
                self.found.clear()
                self._give_up()
                if client is not None:
                    await _closed(client)
            await asyncio.sleep(_AGAIN)

    def _client(self) -> Redis:
        from redis.asyncio import BlockingConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        pool = BlockingConnectionPool.from_url(
            self._url, max_connections=1, timeout=None, retry=Retry(NoBackoff(), 0), socket_connect_timeout=_CONNECT
        )
        return Redis.from_pool(pool)

    async def _serve(self, client: Redis) -> None:
        """Asks what is waiting, until something fails."""
        patience = max(_CONNECT, self._wait)
        async with asyncio.timeout(patience):
            sha: Any = await client.script_load(SCRIPT)
            await self._keep(client, sha)
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
                async with asyncio.timeout(patience):
                    await self._keep(client, sha)
                continue
            self._wake.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(_MOST, len(self._waiting)))]
                await self._trip(client, sha, batch)

    async def _trip(self, client: Redis, sha: str, batch: list[_Asked]) -> None:
        """One round trip."""
        try:
            async with asyncio.timeout(max(self._wait, WAIT)):
                told = await self._sent(client, sha, batch)
        except BaseException:
            self._waiting.extendleft(reversed(batch))  # given up with the others
            raise
        for asked, said in zip(batch, told, strict=True):
            if not isinstance(said, Exception):
                self._answer(asked, said)
                continue
            if not _is_of_one(said):
                self._waiting.append(asked)  # given up with the others
                raise said
            failed("limits", said)
            _refuse_to_count(asked)

    async def _sent(self, client: Redis, sha: str, batch: list[_Asked]) -> list[Any]:
        async with client.pipeline(transaction=False) as pipe:
            for asked in batch:
                pipe.evalsha(sha, len(asked.steps), *self._arguments(asked))
            return await pipe.execute(raise_on_error=False)

    async def _keep(self, client: Redis, sha: str) -> None:
        """Says again which requests run, so that they are counted while this process lives."""
        steps = [step for steps in self._open.values() for step in steps]
        for at in range(0, len(steps), _MOST):
            await self._sent(client, sha, [_Asked(steps[at : at + _MOST], None, "keep", self.clock())])

    def _arguments(self, asked: _Asked) -> list[Any]:
        now = asked.now
        keys = [f"{self._prefix}{step.name}" for step in asked.steps]
        values: list[Any] = ["" if now is None else repr(float(now)), asked.mode, LEASE]
        for step in asked.steps:
            values += [step.kind, repr(float(step.limit)), repr(float(step.amount)), step.member]
        return [*keys, *values]

    def _answer(self, asked: _Asked, said: list[bytes]) -> None:
        if asked.answer is None:
            return
        refused, wait, *states = said
        at = int(refused) - 1
        taken = Taken(at if at >= 0 else None, float(wait), tuple(map(float, states)))
        if taken.refused is None:
            self._remember(asked.steps)
        if not asked.answer.done():
            asked.answer.set_result(taken)
        elif taken.refused is None:  # who asked has left, or went on without us
            self.add([Step("release", one.name, member=one.member) for one in asked.steps if one.kind == "parallel"])

    def _remember(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if step.kind == "parallel":
                self._open.setdefault(step.member, []).append(step)

    def _ask(self, asked: _Asked) -> None:
        self._waiting.append(asked)
        self._wake.set()

    def _give_up(self) -> None:
        """Those who wait go on by their share."""
        while self._waiting:
            _refuse_to_count(self._waiting.popleft())

    def _away(self, error: Exception) -> None:
        reason = "does not answer in time" if isinstance(error, TimeoutError) else type(error).__name__
        if reason != self._reason:
            log.warning("limits_apart", reason=reason)
            self._reason = reason


def _refuse_to_count(asked: _Asked) -> None:
    """Who asked goes on by the share of its process."""
    if asked.answer is not None and not asked.answer.done():
        asked.answer.set_result(None)


def _is_of_one(error: Exception) -> bool:
    """Whether it is about one question, such as a key that somebody else has given another type, and not about the server."""
    return str(error).startswith("WRONGTYPE")


async def _closed(client: Redis) -> None:
    """A connection whose server is gone needs no farewell."""
    try:
        async with asyncio.timeout(_CONNECT):
            await client.aclose()
            await client.connection_pool.disconnect(inuse_connections=True)
    except asyncio.CancelledError:
        raise
    except Exception:  # noqa: BLE001  # it is given up anyhow
        return
