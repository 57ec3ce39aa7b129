"""Complete answers in Redis or Valkey for identical requests, shared by all replicas.

If the server fails or is slow, no answer is found, and the provider is asked. The server is then not used for a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from llmproxy.conversations.packed_answer import packed, unpacked
from llmproxy.requests.answer_cache import Answer

if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")
WAIT = 0.2  # seconds to wait for a stored answer
PAUSE = 1.0  # seconds for which a failed server is not used
_CONNECT = 0.5
_WRITING = 64  # answers written at the same time; further ones are not stored
PREFIX = "llmproxy:{cache}:"  # Redis Cluster keeps keys with the same word in braces on one server

# Stores an answer, and removes expired ones, then the oldest ones above the limit. KEYS: the answer, all keys by age, their sizes,
# the sum of the sizes. ARGV: key, answer, lifetime in seconds, limit in bytes, prefix.
_KEEP = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local function drop(key)
  local size = tonumber(redis.call('HGET', KEYS[3], key) or 0)
  redis.call('DEL', ARGV[5] .. key)
  redis.call('ZREM', KEYS[2], key)
  redis.call('HDEL', KEYS[3], key)
  redis.call('DECRBY', KEYS[4], size)
end
drop(ARGV[1])
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[3]), 'LIMIT', 0, 100)) do drop(key) end
redis.call('SET', KEYS[1], string.format('%.6f', now) .. '\\n' .. ARGV[2], 'PX', math.ceil(tonumber(ARGV[3]) * 1000))
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], #ARGV[2])
local sum = redis.call('INCRBY', KEYS[4], #ARGV[2])
while sum > tonumber(ARGV[4]) do
  local oldest = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  if not oldest then break end
  drop(oldest)
  sum = tonumber(redis.call('GET', KEYS[4]))
end
for i = 2, 4 do redis.call('PEXPIRE', KEYS[i], math.ceil(tonumber(ARGV[3]) * 2000)) end
return sum
"""


class RedisAnswers:
    """most: stored bytes of all answers; seconds: how long each is kept. clock: seconds, of this process."""

    def __init__(
        self,
        url: str,
        *,
        most: int,
        seconds: float,
        prefix: str = PREFIX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self.most = most
        self.seconds = seconds
        self._prefix = prefix
        self._clock = clock
        self._client: Redis | None = None
        self._away_until = float("-inf")
        self._writing: set[asyncio.Task[None]] = set()

    async def find(self, key: bytes) -> tuple[Answer, float] | None:
        """The answer, and how many seconds ago it was stored."""
        found = await self._called(self._fetch, key.hex(), WAIT)
        if found is None:
            return None
        at, now, kept = found
        age = max(0.0, now - at)
        return (unpacked(kept), age) if age < self.seconds else None

    def keep(self, key: bytes, answer: Answer) -> None:
        """Returns at once; the answer is stored in the background."""
        if self.seconds <= 0 or len(self._writing) >= _WRITING:
            return
        kept = packed(answer)
        if len(kept) > self.most:
            return
        task = asyncio.get_running_loop().create_task(self._write(key.hex(), kept))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Cancels running writes, and closes the connections."""
        writing = list(self._writing)
        for task in writing:
            task.cancel()
        if writing:
            await asyncio.wait(writing)
        if self._client is not None:
            with suppress(Exception):
                async with asyncio.timeout(_CONNECT):
                    await self._client.aclose()
            self._client = None

    async def _write(self, key: str, kept: str) -> None:
        await self._called(self._store, (key, kept), 2 * _CONNECT)

    async def _called(self, call: Callable[[Redis, Any], Awaitable[T]], what: Any, seconds: float) -> T | None:
        """The result of a call; None if the server fails or does not answer in time."""
        if self._clock() < self._away_until:
            return None
        try:
            async with asyncio.timeout(seconds):
                return await call(self._connected(), what)
        except Exception:  # noqa: BLE001  # after any failure the provider is asked
            self._away_until = self._clock() + PAUSE
            return None

    async def _fetch(self, client: Redis, key: str) -> tuple[float, float, str] | None:
        async with client.pipeline(transaction=False) as pipe:
            pipe.get(self._prefix + key)
            pipe.time()
            kept, (seconds, micros) = await pipe.execute()
        if kept is None:
            return None
        at, _, answer = kept.partition(b"\n")
        return float(at), seconds + micros / 1e6, answer.decode()

    async def _store(self, client: Redis, what: tuple[str, str]) -> None:
        key, kept = what
        names = (key, ":order", ":sizes", ":sum")
        asking: Any = client.eval(
            _KEEP, 4, *(self._prefix + name for name in names), key, kept, self.seconds, self.most, self._prefix
        )
        await asking

    def _connected(self) -> Redis:
        if self._client is None:
            from redis.asyncio import Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff

            self._client = Redis.from_url(
                self.url, max_connections=64, retry=Retry(NoBackoff(), 0), socket_connect_timeout=_CONNECT
            )
        return self._client
