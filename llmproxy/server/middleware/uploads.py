"""Bodies that are still arriving: a shutdown waits for them, and refuses the requests whose bodies do not come in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from ..context import INTAKE
from .load_shedding import shutting_down


class Uploads:
    """Requests that have no task yet because their body is incomplete. A body that arrives with its head is not among them."""

    def __init__(self) -> None:
        self._arriving: dict[asyncio.Timeout, web.Request] = {}
        self._complete: list[
            web.Request
        ] = []  # during a shutdown: read or refused, and perhaps not begun or answered yet
        self._ending = False

    def __len__(self) -> int:
        """The requests that a shutdown has to wait for."""
        self._complete = [one for one in self._complete if _is_open(one)]
        return len(self._arriving) + len(self._complete)

    @asynccontextmanager
    async def arriving(self, request: web.Request) -> AsyncIterator[None]:
        """Surrounds the reading of a body. Raises GatewayError (503) if the process ends meanwhile."""
        limit = asyncio.timeout(None)
        self._arriving[limit] = request
        try:
            async with limit:
                yield
        except TimeoutError:
            if limit.expired():
                raise shutting_down() from None
            raise
        finally:
            del self._arriving[limit]
            if self._ending:
                self._complete.append(request)

    def end(self) -> None:
        """Begins the shutdown: from now on requests count until they have begun or are answered."""
        self._ending = True

    def refuse_all(self) -> None:
        """Ends the reading of every body."""
        now = asyncio.get_running_loop().time()
        for limit in self._arriving:
            if not limit.expired():
                limit.reschedule(now)


def _is_open(request: web.Request) -> bool:
    return not request[INTAKE].started and bool(getattr(request.protocol, "busy", False))
