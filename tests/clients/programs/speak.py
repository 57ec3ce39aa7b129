"""A client as a program: reads one JSON request a line, does it with its SDK, and writes one JSON reply a line.

    {"verb": "chat", "base_url": ..., "key": ..., "model": ..., "text": ...}  ->  {"text": ..., "usage": [11, 5]}

Whatever the SDK raises is told as it is: `{"error": {"classes": [names, the most special first], "status", "code", "message"}}`.
It imports nothing but the standard library, because it runs in the client's own environment.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from collections.abc import AsyncIterable, Callable, Mapping
from typing import Any, TextIO

Json = dict[str, Any]
Verb = Callable[..., Any]  # plain or async; takes the request's other members


def weather(city: str) -> str:
    """The tool of every client."""
    return f"{city}: 21 degrees"


async def cancelled(pieces: AsyncIterable[str], until: str) -> Json:
    """Reads the text that there is; the task that reads on is then cancelled."""
    read: list[str] = []
    all_there = asyncio.Event()

    async def reading() -> None:
        async for piece in pieces:
            read.append(piece)
            if "".join(read) == until:
                all_there.set()

    # Not before the reader waits for more: asyncio.wait_for, which LangChain uses, loses a cancel on Python 3.11 else.
    tasks = [asyncio.create_task(reading()), asyncio.create_task(all_there.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return {"text": "".join(read)}


def speak(verbs: Mapping[str, Verb]) -> None:
    """Serves requests until the input ends. What a library prints is not a reply: it goes to the standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asyncio.run(_serve(verbs, out))


async def _serve(verbs: Mapping[str, Verb], out: TextIO) -> None:
    """The loop runs on between the requests, as a server's would: what a client left to it is done."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await _reply(verbs, json.loads(line))), file=out, flush=True)


async def _reply(verbs: Mapping[str, Verb], request: Json) -> Json:
    verb = verbs[request.pop("verb")]
    try:
        done = await verb(**request) if asyncio.iscoroutinefunction(verb) else await asyncio.to_thread(verb, **request)
    except Exception as error:  # noqa: BLE001  # told to the test
        traceback.print_exc()
        return {"error": _told(error)}
    return dict(done)


def _told(error: Exception) -> Json:
    body = getattr(error, "body", None)
    code = getattr(error, "code", None) or (body.get("code") if isinstance(body, dict) else None)
    return {
        "classes": [kind.__name__ for kind in type(error).__mro__],
        "status": getattr(error, "status_code", None),
        "code": code if isinstance(code, str) else None,
        "message": str(error),
    }
