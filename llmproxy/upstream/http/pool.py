"""Pool of idle connections by route."""

from __future__ import annotations

import asyncio

from llmproxy.observe.periodic import attempt

from .connection import Connection
from .proxy_route import Route


class Pool:
    """Last in, first out, so that surplus connections become idle and are closed. There is one timer for all."""

    __slots__ = ("_idle", "_keepalive", "_timer")

    def __init__(self, keepalive: float) -> None:
        self._keepalive = keepalive  # seconds; should be less than the provider's keep-alive time
        self._idle: dict[Route, list[Connection]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def take(self, route: Route) -> Connection | None:
        idle = self._idle.get(route)
        if not idle:
            return None
        oldest = asyncio.get_running_loop().time() - self._keepalive
        while idle:
            connection = idle.pop()
            if not connection.closed and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    def put(self, route: Route, connection: Connection) -> None:
        connection.rest()
        if route in self._idle:
            self._idle[route].append(connection)
        else:
            self._idle[route] = [connection]
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(
                self._keepalive, attempt, self._sweep, "idle_connections"
            )

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for idle in self._idle.values():
            for connection in idle:
                connection.abort()
        self._idle.clear()

    def _sweep(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._keepalive
        self._idle = {route: young for route, idle in self._idle.items() if (young := _young(idle, oldest))}
        first = min((idle[0].idle_since for idle in self._idle.values()), default=None)
        if first is not None:
            self._timer = loop.call_at(first + self._keepalive, attempt, self._sweep, "idle_connections")


def _young(idle: list[Connection], oldest: float) -> list[Connection]:
    for connection in idle:
        if connection.idle_since <= oldest:
            connection.abort()
    return [connection for connection in idle if not connection.closed]
