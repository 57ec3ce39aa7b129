"""Threads over HTTP: the list, one thread, its messages, files of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from llmproxy.conversations import thread_answer
from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest
from llmproxy.store import Store, export, messages, search, threads

from ..context import INFLIGHT, STORE, owner
from ..streaming.native_task import THREAD, read_body, stop

_MEMBERS: dict[str, tuple[type, ...]] = {
    "title": (str,),
    "model": (str, type(None)),
    "settings": (dict,),
    "pinned": (bool,),
    "head": (str, type(None)),
    "deleted": (bool,),
}
_NEW = frozenset(("title", "model", "settings"))
_MAX_TITLE = 500


def routes() -> list[web.RouteDef]:
    return [
        web.get("/threads", listed),
        web.post("/threads", create),
        web.delete("/threads", delete_all),
        web.get("/threads/search", find),
        web.get("/threads/export", export_file),
        web.post("/threads/import", import_file),
        web.post("/threads/cancel/{request_id}", cancel),
        web.get("/threads/{id}", one),
        web.patch("/threads/{id}", change),
        web.delete("/threads/{id}", delete),
        web.get("/threads/{id}/messages", all_messages),
        web.post("/threads/{id}/messages/stream", ask_in),
        web.get("/threads/{id}/export", export_file),
    ]


async def listed(request: web.Request) -> web.Response:
    limit = _number(request, "limit", usual=50, most=200)
    before = request.query.get("before")
    return _json(await _store(request).read(threads.listed, owner(request), limit, before))


async def create(request: web.Request) -> web.Response:
    given = _members(await read_body(request), _NEW)
    made = await _store(request).write(threads.create, owner(request), time.time(), **given)
    return _json(made, status=201)


async def one(request: web.Request) -> web.Response:
    return _json(await _store(request).read(threads.thread, owner(request), request.match_info["id"]))


async def change(request: web.Request) -> web.Response:
    changes = _members(await read_body(request), _MEMBERS.keys())
    id = request.match_info["id"]
    return _json(await _store(request).write(threads.change, owner(request), id, changes, time.time()))


async def delete(request: web.Request) -> web.Response:
    store, id, purge = _store(request), request.match_info["id"], request.query.get("purge") == "1"
    if purge:
        await _let_go(request, id)
    await store.write(threads.delete, owner(request), id, time.time(), purge)
    return web.Response(status=204)


async def delete_all(request: web.Request) -> web.Response:
    await _let_go(request)
    await _store(request).write(threads.delete_all, owner(request))
    return web.Response(status=204)


async def find(request: web.Request) -> web.Response:
    words = request.query.get("q", "")[:500]
    return _json({"results": await _store(request).read(search.search, owner(request), words)})


async def all_messages(request: web.Request) -> web.Response:
    return _json(await _store(request).read(messages.of_thread, owner(request), request.match_info["id"]))


async def ask_in(request: web.Request) -> web.StreamResponse:
    return await thread_answer.ask(request, request.match_info["id"], await read_body(request))


async def cancel(request: web.Request) -> web.Response:
    return await stop(request, request.match_info["request_id"])


async def export_file(request: web.Request) -> web.Response:
    id = request.match_info.get("id")
    kind = request.query.get("format", "json")
    if kind not in _FILES:
        raise BadRequest("format is json or markdown.", param="format")
    ending, type, render = _FILES[kind]
    store, whose = _store(request), owner(request)
    title = "threads" if id is None else (await store.read(threads.thread, whose, id))["title"]
    body = await store.read(render, whose, id)
    name = export.file_name(title, ending)
    headers = {"Content-Type": type, "Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=body, headers=headers)


async def import_file(request: web.Request) -> web.Response:
    file = await read_body(request)
    return _json({"threads": await _store(request).write(export.take, owner(request), file, time.time())})


# Rendered in the reader's thread: an export may be large, and the loop must not stand still.
_FILES: dict[str, tuple[str, str, Callable[[Any, str, str | None], bytes]]] = {
    "json": (
        "json",
        "application/json",
        lambda db, owner, id: orjson.dumps(export.as_json(db, owner, id, time.time()), option=orjson.OPT_INDENT_2),
    ),
    "markdown": (
        "md",
        "text/markdown; charset=utf-8",
        lambda db, owner, id: export.as_markdown(db, owner, id).encode(),
    ),
}


def _store(request: web.Request) -> Store:
    return request.app[STORE]()


async def _let_go(request: web.Request, id: str | None = None) -> None:
    """Answers that grow in a thread, or in any, have nowhere to go once it is removed; what memory has of others goes too."""
    inflight, whose = request.app[INFLIGHT], owner(request)
    known = [one for one in (*inflight, *inflight.recent()) if one.owner == whose and one.note.get(THREAD)]
    those = [one for one in known if id in (None, one.note[THREAD])]
    if growing := [one.task for one in those if one.cancel("api")]:
        await asyncio.wait(growing)
    for one in those:
        one.tape = None


def _members(given: Json, known: Any) -> Json:
    for name, value in given.items():
        if name not in known:
            raise BadRequest(f"{name} is not a member that can be set.", param=name, code="unknown_parameter")
        if not isinstance(value, _MEMBERS[name]):
            raise BadRequest(f"{name} is of the wrong type.", param=name, code="invalid_type")
    if len(given.get("title", "")) > _MAX_TITLE:
        raise BadRequest(f"title may have {_MAX_TITLE} characters.", param="title", code="string_above_max_length")
    return given


def _number(request: web.Request, name: str, *, usual: int, most: int) -> int:
    said = request.query.get(name, str(usual))
    if not (said.isascii() and said.isdigit() and 0 < int(said[:9]) <= most):
        raise BadRequest(f"{name} is a number from 1 to {most}.", param=name)
    return int(said)


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")
