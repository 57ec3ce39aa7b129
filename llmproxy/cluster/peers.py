"""Asks the other workers about requests that are not ours, over Unix sockets that only this user can open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from llmproxy.core.chat import Json

from .place import Place

UNREACHABLE = (aiohttp.ClientError, FileNotFoundError)  # that worker is just being replaced
_CONNECT = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Question:
    """A client's request as it is passed on. `path` has the query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Peers:
    """The other workers: where they listen, and the token by which they know each other."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.number = place.number
        self.token = place.token

    def ask_each(self, question: Question) -> Iterable[Asking]:
        """One call to each of the others, to be entered one after another."""
        return (Asking(address, question) for address in self._place.others())

    async def gather(self, question: Question) -> list[Json]:
        """What every other worker answers with status 200."""
        told = await asyncio.gather(*(_read(one) for one in self.ask_each(question)))
        return [one for one in told if one is not None]


class Asking(AbstractAsyncContextManager[aiohttp.ClientResponse]):
    """One call to one worker. Entering raises one of UNREACHABLE if it is not there."""

    def __init__(self, address: Path, question: Question) -> None:
        self._address = address
        self._call: dict[str, Any] = {
            "method": question.method,
            "url": f"http://localhost{question.path}",
            "headers": question.headers,
            "data": question.body or None,
        }

    async def __aenter__(self) -> aiohttp.ClientResponse:
        timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT)
        self._session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self._address)), timeout=timeout)
        try:
            return await self._session.request(**self._call)
        except BaseException:
            await self._session.close()
            raise

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()


async def _read(asking: Asking) -> Json | None:
    try:
        async with asking as found:
            return orjson.loads(await found.read()) if found.status == 200 else None
    except UNREACHABLE:
        return None
