"""Stored responses: finds them for requests that continue them, and serves the routes for one response."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from aiohttp import web

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest, GatewayError
from llmproxy.dialects.responses.known import KnownItem
from llmproxy.dialects.responses.state import Kept, ResponseStore
from llmproxy.dialects.responses.watch import last_number
from llmproxy.observe.log import log
from llmproxy.requests.registry import ended
from llmproxy.requests.replay_buffer import ReplayBuffer
from llmproxy.requests.running import Running
from llmproxy.store.responses import ResponseFile
from llmproxy.wire.foreign_reasoning import is_ours

from ..context import CURRENT, REGISTRY, RESPONSE_FILES, RESPONSES, owner
from ..middleware.forwarding import ask_peers, is_from_peer
from ..streaming.replay import follow

UNFINISHED = frozenset(("queued", "in_progress"))
_MOST = 100  # items per page
_LOST = {"code": "server_error", "message": "The process that made this response has ended."}
_WHOLE = "whole"  # query parameter that only other workers use
_ENCRYPTED = "reasoning.encrypted_content"


# Storing


def keeps(request: web.Request) -> bool:
    """Whether responses are stored at all."""
    return request.app[CURRENT].config.responses.store != "off"


def put(request: web.Request, kept: Kept) -> bool:
    """Stores a response: soon on disk, if that is configured, and in memory until then. False: it is larger than the store."""
    limits, store = request.app[CURRENT].config.responses, request.app[RESPONSES]
    store.most, store.seconds = limits.bytes, limits.hours * 3600
    if not store.put(kept):
        return False
    if (file := _file(request)) is not None:
        writing = asyncio.get_running_loop().run_in_executor(None, file.put, kept, time.time())
        writing.add_done_callback(lambda done: _written(store, kept, done))
    return True


async def find(request: web.Request, id: str) -> Kept | None:
    """The caller's response with that ID."""
    kept, file = request.app[RESPONSES].get(owner(request), id), _file(request)
    if kept is not None:
        return kept
    return await asyncio.to_thread(file.get, owner(request), id) if file is not None else await _elsewhere(request, id)


async def find_item(request: web.Request, id: str) -> KnownItem | None:
    """An item of one of the caller's responses."""
    found, file = request.app[RESPONSES].item(owner(request), id), _file(request)
    if found is not None:
        return found
    if file is not None:
        kept = await asyncio.to_thread(file.of_item, owner(request), id)
    else:
        kept = await _elsewhere(request, id)
    item = next((one for one in kept.output if one.get("id") == id), None) if kept is not None else None
    return KnownItem(item, kept.answered_by) if kept is not None and item is not None else None


async def _elsewhere(request: web.Request, id: str) -> Kept | None:
    """The caller's response with that ID, or with an item of that ID, from another worker's memory."""
    answers = await ask_peers(request, f"/v1/responses/{quote(id, safe='')}?{_WHOLE}=1", id) if len(id) < 200 else []
    if not answers:
        return None
    members = answers[0]
    parts = tuple(orjson.dumps(part) for part in members["parts"])
    response = orjson.dumps(members["response"])
    return Kept(members["id"], owner(request), response, parts, members["answered_by"], members["request_id"])


def _whole_response(request: web.Request) -> web.Response:
    """All that another worker needs to continue a response."""
    store, id = request.app[RESPONSES], request.match_info["id"]
    kept = store.get(owner(request), id) or store.with_item(owner(request), id)
    if kept is None:
        raise _unknown(id)
    members = {"id": kept.id, "answered_by": kept.answered_by, "request_id": kept.request_id}
    return _json({**members, "response": kept.value, "parts": [orjson.loads(part) for part in kept.parts]})


async def _forget(request: web.Request, kept: Kept) -> None:
    request.app[RESPONSES].delete(kept.owner, kept.id)
    if (file := _file(request)) is not None:
        await asyncio.to_thread(file.delete, kept.owner, kept.id)


def _file(request: web.Request) -> ResponseFile | None:
    config = request.app[CURRENT].config
    if config.responses.store != "disk" or not config.storage.enabled:
        return None
    files, folder = request.app[RESPONSE_FILES], config.storage.dir
    if folder not in files:
        files[folder] = ResponseFile(Path(folder), config.responses.bytes, config.responses.hours * 3600)
    files[folder].limit(config.responses.bytes, config.responses.hours * 3600)
    return files[folder]


def _written(store: ResponseStore, kept: Kept, done: asyncio.Future[None]) -> None:
    """It is on disk, so it is removed from memory, unless the disk failed."""
    if done.cancelled():
        return
    if (error := done.exception()) is not None:
        log.error("response_not_kept", failure=type(error).__name__)
    elif store.holds(kept):
        store.delete(kept.owner, kept.id)


# The routes for one response


async def one(request: web.Request) -> web.StreamResponse:
    """The response, or with `stream=true` its events after `starting_after`, then new ones."""
    if _WHOLE in request.query and is_from_peer(request):
        return _whole_response(request)
    kept = await _found(request)
    if request.query.get("stream") != "true":
        return _json(_shown(await _as_it_is(kept, request), request))
    running = _running(request, kept)
    if running is None or running.buffer is None or not running.stream:
        text = "Only a response that was made with `background` and `stream`, and not long ago, can be streamed again."
        raise BadRequest(text, param="stream", code="unsupported_value")
    after = _whole_number(request, "starting_after", -1)
    return await follow(request, running, _position(running.buffer, after))


async def delete(request: web.Request) -> web.Response:
    kept = await _found(request)
    await _forget(request, kept)
    return _json({"id": kept.id, "object": "response.deleted", "deleted": True})


async def cancel(request: web.Request) -> web.Response:
    """Stops a background response, and answers when its provider's connection is closed."""
    kept = await _found(request)
    if not kept.value.get("background"):
        raise BadRequest("Cannot cancel a synchronous response.", param="response_id", code="invalid_value")
    running = _running(request, kept)
    if running is not None and running.stop("api"):
        await ended(running)
    return _json(_shown((await _found(request)).value, request))


async def input_items(request: web.Request) -> web.Response:
    """The whole input of the model, in pages."""
    items = (await _found(request)).input
    order = request.query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise BadRequest("`order` must be asc or desc.", param="order", code="invalid_value")
    limit = _whole_number(request, "limit", 20)
    if not 1 <= limit <= _MOST:
        raise BadRequest(f"`limit` must be from 1 to {_MOST}.", param="limit", code="invalid_value")
    items = items if order == "asc" else items[::-1]
    ids = [item["id"] for item in items]
    after = request.query.get("after")
    if after and after not in ids:
        raise BadRequest("`after` is not an item of this list.", param="after", code="invalid_value")
    first = ids.index(after) + 1 if after else 0
    page = items[first : first + limit]
    ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
    return _json({"object": "list", "data": page, **ends, "has_more": first + limit < len(items)})


async def _found(request: web.Request) -> Kept:
    """A response of this worker or on disk; if it is neither, the gate asks the other workers."""
    id, file = request.match_info["id"], _file(request)
    kept = request.app[RESPONSES].get(owner(request), id)
    if kept is None and file is not None:
        kept = await asyncio.to_thread(file.get, owner(request), id)
    if kept is None:
        raise _unknown(id)
    return kept


def _unknown(id: str) -> GatewayError:
    """The same answer for another key's response and for one that does not exist."""
    text = f"Response with id '{id}' not found."
    return GatewayError(text, status=404, code="response_not_found", param="response_id")


async def _as_it_is(kept: Kept, request: web.Request) -> Json:
    """The present state of a response that was stored unfinished: it may have begun here or in another worker, or may never end."""
    response = kept.value
    if response.get("status") not in UNFINISHED:
        return response
    running = request.app[REGISTRY].get(kept.request_id, kept.owner)
    if running is not None:
        return {**response, "status": "in_progress"} if running.trace.attempts else response
    if is_from_peer(request):
        raise _unknown(kept.id)
    answers = await ask_peers(request, f"/v1/responses/{quote(kept.id, safe='')}", kept.id)
    return answers[0] if answers else {**response, "status": "failed", "error": _LOST}


def _running(request: web.Request, kept: Kept) -> Running | None:
    """The task that makes it. Raises GatewayError if it is in another process, which is then asked."""
    running = request.app[REGISTRY].get(kept.request_id, kept.owner)
    if running is None and kept.value.get("status") in UNFINISHED:
        raise GatewayError("What made this response has ended.", status=404, code="request_not_found")
    return running


def _position(buffer: ReplayBuffer, number: int) -> int:
    """The last event of the buffer up to which the reader has all events with a sequence_number of at most `number`."""
    for id in range(buffer.oldest, buffer.newest + 1):
        found = last_number(buffer.take(id - 1, 1)[1])
        if found is not None and found > number:
            return id - 1
    return buffer.newest


def _whole_number(request: web.Request, name: str, usual: int) -> int:
    given = request.query.get(name)
    if given is None:
        return usual
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise BadRequest(f"`{name}` must be a whole number.", param=name, code="invalid_type")
    return int(given)


def _shown(response: Json, request: web.Request) -> Json:
    """Without our own reasoning state, unless the client asked for it."""
    if _ENCRYPTED in (*request.query.getall("include", []), *request.query.getall("include[]", [])):
        return response
    return {**response, "output": [_without_ours(item) for item in response.get("output") or ()]}


def _without_ours(item: Any) -> Any:
    if not isinstance(item, dict) or not is_ours(item.get("encrypted_content")):
        return item
    return {name: value for name, value in item.items() if name != "encrypted_content"}


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")
