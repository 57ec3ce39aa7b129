"""Threads over HTTP: the list, one thread, its messages, files of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
from aiohttp import web

from llmproxy.conversations import imports
from llmproxy.conversations.stored_replay import AnswerEvents
from llmproxy.conversations.thread_answer import Place, ThreadRecord, Titles
from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest
from llmproxy.core.opener import Reply
from llmproxy.dialects.native.request import chat_body, question
from llmproxy.requests.registry import ended
from llmproxy.store import Store, export, messages, threads
from llmproxy.store.messages import Ask

from ..context import CURRENT, INTAKE, REGISTRY, STORE, caller, owner
from ..middleware.body import read_json
from ..middleware.charge import admit_now
from ..middleware.forwarding import is_from_peer, others
from ..streaming.native_task import answer, checked_chat, read_body
from ..streaming.on_disconnect import in_thread
from .requests import stop

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
_MOST_MESSAGES = 1000  # of a thread in one part


async def listed(request: web.Request) -> web.Response:
    limit = _number(request, "limit", usual=50, most=200)
    before = request.query.get("before")
    if request.query.get("deleted") == "1":
        return _json(await _store(request).read(threads.trash, owner(request), limit))
    return _json(await _store(request).read(threads.listed, owner(request), limit, before))


async def create(request: web.Request) -> web.Response:
    given = _members(await read_body(request), _NEW)
    made = await _store(request).write_for(owner(request), threads.create, owner(request), time.time(), **given)
    return _json(made, status=201)


async def one(request: web.Request) -> web.Response:
    return _json(await _store(request).read(threads.thread, owner(request), request.match_info["id"]))


async def change(request: web.Request) -> web.Response:
    changes = _members(await read_body(request), _MEMBERS.keys())
    id = request.match_info["id"]
    return _json(
        await _store(request).write_for(owner(request), threads.change, owner(request), id, changes, time.time())
    )


async def delete(request: web.Request) -> web.Response:
    store, id, purge = _store(request), request.match_info["id"], request.query.get("purge") == "1"
    if purge:
        await _stop_answers(request, id)
        if is_from_peer(request):
            return web.Response(status=204)
    await store.write_for(owner(request), threads.delete, owner(request), id, time.time(), purge)
    return web.Response(status=204)


async def delete_all(request: web.Request) -> web.Response:
    await _stop_answers(request)
    if is_from_peer(request):
        return web.Response(status=204)
    await _store(request).delete_all(owner(request))
    return web.Response(status=204)


async def find(request: web.Request) -> web.Response:
    words = request.query.get("q", "")[:500]
    return _json({"results": await _store(request).search(owner(request), words)})


async def all_messages(request: web.Request) -> web.Response:
    id, whose = request.match_info["id"], owner(request)
    if "tail" not in request.query:
        return _json(await _store(request).read(messages.of_thread, whose, id))
    tail = _number(request, "tail", usual=0, most=_MOST_MESSAGES)
    part = messages.Part(tail, request.query.get("at"), request.query.get("before"))
    return _json(await _store(request).read(messages.part_of_thread, whose, id, part))


async def ask_in(request: web.Request) -> web.StreamResponse:
    return await ask(request, request.match_info["id"], await read_body(request))


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
    body = await store.read_slowly(render, whose, id)
    name = export.file_name(title, ending)
    headers = {"Content-Type": type, "Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=body, headers=headers)


async def import_file(request: web.Request) -> web.Response:
    raw = await read_json(request, request.app[CURRENT].config.server)
    file, left_out = await asyncio.to_thread(_imported, raw)
    ids = await _store(request).import_threads(owner(request), file)
    return _json({"threads": ids, "left_out": left_out})


def _imported(raw: bytes) -> tuple[Any, dict[str, int]]:
    file, left_out = imports.converted(imports.read(raw), time.time())
    return file, dict(left_out.most_common())


# Rendered in the reader's thread, because a large export would block the event loop.
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


async def _stop_answers(request: web.Request, id: str | None = None) -> None:
    """Stops the running answers of a thread (or of all) that is removed, and removes its finished ones from memory."""
    registry, whose = request.app[REGISTRY], owner(request)
    known = [one for one in (*registry, *registry.recent()) if one.owner == whose and one.thread_id]
    those = [one for one in known if id in (None, one.thread_id)]
    for one in those:
        one.stop("thread_deleted")
    await ended(*those)
    await others(request)
    for one in those:
        one.buffer = None


def _members(given: Json, known: Any) -> Json:
    for name, value in given.items():
        if name not in known:
            raise BadRequest(f"{name} is not a member that can be set.", param=name, code="unknown_parameter")
        if not isinstance(value, _MEMBERS[name]):
            raise BadRequest(f"{name} is of the wrong type.", param=name, code="invalid_type")
    if len(given.get("title", "")) > _MAX_TITLE:
        raise BadRequest(f"title may have {_MAX_TITLE} characters.", param="title", code="string_above_max_length")
    threads.check_settings(given.get("settings", {}), "settings")
    return given


def _number(request: web.Request, name: str, *, usual: int, most: int) -> int:
    value = request.query.get(name, str(usual))
    if not (value.isascii() and value.isdigit() and 0 < int(value[:9]) <= most):
        raise BadRequest(f"{name} is a number from 1 to {most}.", param=name)
    return int(value)


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


async def ask(request: web.Request, thread_id: str, given: Json) -> web.StreamResponse:
    """Asks in a thread, and streams the answer. Errors in the request are sent as an HTTP status."""
    current, store, key = request.app[CURRENT], request.app[STORE](), caller(request)
    policy = in_thread(request)
    thread = await store.read(threads.thread, owner(request), thread_id)
    what = _what(given, request[INTAKE].id, store.process)
    asked = [{"role": "user", "content": what.content or "-"}]
    chat = checked_chat(request, chat_body(given, asked, current.config, thread))
    place = Place(store, owner(request), thread_id)
    titles = Titles(place, request.app[REGISTRY], current.gateway, key, partial(admit_now, request))
    stored = AnswerEvents(store, what.answer_id) if store.tape_bytes else None
    record = ThreadRecord(place, replace(what, model=chat.model), chat, titles, stored)
    gateway = current.gateway

    def opening(chat: Chat) -> AbstractAsyncContextManager[Reply]:
        return gateway.open(chat, gateway.route(chat, key))

    return await answer(request, chat, record, opening, policy, thread_id)


def _what(given: Json, request_id: str, process: str) -> Ask:
    """What to do: a new question, another answer to a question, or the continuation of an answer."""
    ask = Ask(request_id, messages.new_id(), process)
    answer_to, going_on, parent_id = (_id(given, name) for name in ("answer_to", "continue", "parent_id"))
    if answer_to is not None or going_on is not None:
        if given.get("content") is not None or None not in (answer_to, going_on):
            raise BadRequest("Give one of content, answer_to and continue.", param="content")
        return replace(ask, answer_to=answer_to, going_on=going_on)
    return replace(ask, content=question(given, "content"), follows_head="parent_id" not in given, parent_id=parent_id)


def _id(given: Json, name: str) -> str | None:
    value = given.get(name)
    if not isinstance(value, (str, type(None))):
        raise BadRequest(f"{name} must be a message's id.", param=name, code="invalid_type")
    return value
