"""/v1/requests: lists running and finished requests, and cancels them."""

from __future__ import annotations

import time
from functools import partial
from itertools import islice

import orjson
from aiohttp import web

from llmproxy.accounts.pricing import Pricing
from llmproxy.config import Key
from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest, GatewayError
from llmproxy.core.lifecycle import SHOWN
from llmproxy.core.record import AttemptRecord
from llmproxy.core.usage import DOLLAR
from llmproxy.observe.refusals import Refusal
from llmproxy.requests.registry import ended
from llmproxy.requests.running import Running
from llmproxy.wire.json_body import parse_body

from ..context import ACCOUNTS, CURRENT, OBSERVER, REGISTRY, caller, owner
from ..middleware.body import parsed, read_json
from ..middleware.forwarding import NOBODY, Others, is_from_peer, others, refuse_unknown
from .lost import lost_request

_RECENT = 100
_CHOOSES = ("model", "provider", "owner")


async def listed(request: web.Request) -> web.Response:
    """The caller's running requests, all for an administrator; `recent` are the last that ended.

    Of this machine; with `all=true` of all machines, and `unanswered` names those that did not answer.
    """
    registry, key = request.app[REGISTRY], caller(request)
    running = [shown(one) for one in registry if sees(key, one)]
    recent = [shown(one) for one in islice((one for one in registry.recent() if sees(key, one)), _RECENT)]
    if key.admin:
        recent = _latest([*recent, *(refused(one) for one in request.app[OBSERVER].refusals.recent)])
    gathered = await others(request, machines=_asks_all(request))
    for other in gathered.answers:
        running.extend(other["data"])
        recent.extend(other["recent"])
    unanswered = [*(one.name for one in gathered.unanswered), *_passed(gathered.answers)]
    return _json({"object": "list", "data": running, "recent": recent, "unanswered": unanswered})


def _asks_all(request: web.Request) -> bool:
    """Whether `all=true` is set. Raises GatewayError for a key that may not see the replicas."""
    if request.query.get("all", "false") == "false":
        return False
    if not caller(request).admin:
        raise GatewayError("Only an admin key may ask all replicas.", status=403, code="forbidden")
    return True


def _passed(answers: list[Json]) -> list[str]:
    """The workers of other machines that did not answer."""
    return [name for one in answers for name in one.get("unanswered", ())]


def _latest(shown: list[Json]) -> list[Json]:
    return sorted(shown, key=lambda one: one["started_at"] + (one["duration_ms"] or 0) / 1000, reverse=True)[:_RECENT]


def refused(one: Refusal) -> Json:
    """A request that was refused before it had a task, in the same form as others, with what is known of it."""
    return {
        **dict.fromkeys(_MEMBERS),
        "id": one.id,
        "uid": one.id,
        "object": "request",
        "state": "failed",
        "model": "",
        "attempts": 0,
        "owner": one.owner or None,
        "age_s": 0.0,
        "tokens": 0,
        "tokens_estimated": False,
        "stream": False,
        "status": one.status,
        "code": one.code,
        "started_at": one.at,
        "tries": [],
        "refused": {"address": one.address, "method": one.method, "path": one.path, "message": one.message},
    }


_MEMBERS = (
    "phase", "by", "provider", "provider_model", "ttft_ms", "duration_ms", "closed_ms", "usage", "cost", "cache",
    "queue_position",
)  # fmt: skip


async def one(request: web.Request) -> web.Response:
    return _json(shown(_found(request)))


async def trace(request: web.Request) -> web.Response:
    """The flight record of a request, while it runs or is remembered."""
    from llmproxy.requests.flight_record import flight_record

    return _json(flight_record(_found(request), partial(_output_rate, request.app[ACCOUNTS].pricing)))


def _output_rate(pricing: Pricing, provider: str, model: str, tokens_in: int) -> int | None:
    price = pricing.price(provider, model, time.time())
    return price.rate("output", tokens_in) if price is not None else None


async def cancel(request: web.Request) -> web.Response:
    """Stops a request, and answers when its provider's connection is closed. A second call gives the same answer.

    Every worker stops the requests with this ID, because a client may have used it twice.
    """
    id, key = request.match_info["id"], caller(request)
    await request.app[REGISTRY].stop_arriving(id, key.name, anybodys=key.admin)
    running = _sought(request)
    if running is not None:
        running.stop("api" if running.owner == key.name else "admin")
    if running is None or not request.app[REGISTRY].made(id):  # otherwise it may be a client's own ID, used twice
        gathered = await others(request, id)
        if running is None:
            return _json(_one_of(gathered, id))
    await ended(running)
    return _json(shown(running))


def _one_of(gathered: Others, id: str) -> Json:
    """The answer of another process about a request. Raises GatewayError: 404, or 503 if a process did not answer."""
    if not gathered.answers:
        refuse_unknown(gathered.unanswered)
        raise not_found(id)
    return gathered.answers[0]


async def cancel_many(request: web.Request) -> web.Response:
    """Stops all matching requests, for administrators: `{"model"?, "provider"?, "owner"?}`; without a body, all."""
    if not caller(request).admin:
        raise GatewayError("Only an admin key may stop other people's requests.", status=403, code="forbidden")
    raw = await read_json(request, request.app[CURRENT].config.server)
    wanted = await parsed(raw, parse_body) if raw else {}
    if unknown := wanted.keys() - _CHOOSES:  # a misspelled member must not stop all requests
        raise BadRequest(f"Requests are chosen by {', '.join(_CHOOSES)}.", param=min(unknown), code="unknown_parameter")
    for name, value in wanted.items():
        if not isinstance(value, str | None):
            raise BadRequest(f"`{name}` must be a string.", param=name, code="invalid_type")
    stopped = request.app[REGISTRY].stop_all("admin", lambda one: _fits(one, wanted))
    await ended(*stopped)
    data = [shown(one) for one in stopped]
    gathered = await others(request)
    for other in gathered.answers:
        data.extend(other["data"])
    unanswered = [*(one.name for one in gathered.unanswered), *_passed(gathered.answers)]
    return _json({"object": "list", "data": data, "unanswered": unanswered})


def _fits(running: Running, wanted: Json) -> bool:
    facts = {
        "model": (running.model, running.trace.model),
        "provider": (running.trace.provider,),
        "owner": (running.owner,),
    }
    return all(wanted.get(key) is None or wanted[key] in values for key, values in facts.items())


def sees(key: Key, running: Running) -> bool:
    return key.admin or key.name == running.owner


def _sought(request: web.Request) -> Running | None:
    key, registry, id = caller(request), request.app[REGISTRY], request.match_info["id"]
    return registry.get(id, key.name) or (registry.get(id) if key.admin else None)


def _found(request: web.Request) -> Running:
    running = _sought(request)
    if running is None:  # another owner's request is answered like an unknown one
        raise not_found(request.match_info["id"])
    return running


def not_found(id: str) -> GatewayError:
    return GatewayError(f"There is no request {id!r}.", status=404, code="request_not_found", param="id")


def shown(running: Running) -> Json:
    """A request as the API shows it; names say whether times are in seconds or milliseconds."""
    now = running.ended or time.monotonic()
    tokens, estimated = running.tokens
    usage = running.usage
    trace = running.trace
    return {
        "id": running.id,
        "uid": running.uid or running.id,
        "object": "request",
        "state": running.state,
        "phase": SHOWN.get(running.phase, running.phase),
        "by": running.by,
        "model": running.model,
        "provider": trace.provider,
        "provider_model": trace.model,
        "attempts": trace.attempts,
        "owner": running.owner or None,
        "age_s": round(now - running.started, 3),
        "tokens": tokens,
        "tokens_estimated": estimated,
        "stream": running.stream,
        "ttft_ms": _ms(running.first_frame, running.started),
        "duration_ms": _ms(running.ended, running.started),
        "closed_ms": running.closed_ms,
        "status": running.status if running.outcome is not None else None,
        "code": running.error.code if running.error else None,
        "usage": usage.raw if usage else None,
        "cost": _cost(running),
        "cache": trace.cache,
        "queue_position": trace.position,
        "started_at": running.started_at,
        "tries": [_tried(one.record(one.cost_e12, one.price_id)) for one in trace.tries],
    }


def _tried(attempt: AttemptRecord) -> Json:
    tokens = attempt.tokens
    return {
        "number": attempt.number,
        "provider": attempt.provider,
        "model": attempt.model,
        "state": attempt.state,
        "code": attempt.code,
        "sent": attempt.sent,
        "tokens_in": tokens.prompt if tokens else None,
        "tokens_out": tokens.completion if tokens else None,
        "tokens": tokens._asdict() if tokens else None,
        "usage_source": attempt.usage_source,
        "cost": attempt.reported_cost,
        "ttft_ms": attempt.ttft_ms,
        "duration_ms": attempt.duration_ms,
        "provider_id": attempt.provider_id,
    }


def _cost(running: Running) -> float | None:
    """Cost in dollars: computed at the end; before that as reported by the provider."""
    if running.cost_e12 is not None:
        return running.cost_e12 / DOLLAR
    return running.usage.cost if running.usage else None


def _ms(until: float | None, since: float) -> float | None:
    return round((until - since) * 1000, 1) if until is not None else None


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")


async def stop(request: web.Request, id: str) -> web.Response:
    """Cancels the caller's request with this ID, and answers when its provider's connection is closed."""
    await request.app[REGISTRY].stop_arriving(id, owner(request))
    running = request.app[REGISTRY].get(id, owner(request))
    if running is not None:
        running.stop("api")
    elsewhere = NOBODY if running is not None and request.app[REGISTRY].made(id) else await others(request, id)
    if running is not None:
        await ended(running)
    cancelled = running is not None and running.state == "cancelled"
    cancelled = cancelled or any(answer["status"] == "cancelled" for answer in elsewhere.answers)
    status = "cancelled" if cancelled else "not_found"
    if not cancelled and running is None:
        refuse_unknown(elsewhere.unanswered)
        lost = None if is_from_peer(request) else await lost_request(request, id)
        if lost is not None and lost["state"] in ("lost", "cancelled"):
            status = lost["state"]
    return web.json_response({"status": status, "request_id": id})
