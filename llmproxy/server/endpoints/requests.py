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
from ..middleware.body import read_json
from ..middleware.forwarding import NOBODY, Others, others, refuse_unknown

_RECENT = 100
_CHOOSES = ("model", "provider", "owner")


async def listed(request: web.Request) -> web.Response:
    """What runs, of the caller's own; of everybody's for an admin. `recent` are the last that ended.

    Of this machine; with `all=true` of all, and `unanswered` names those that did not say.
    """
    registry, key = request.app[REGISTRY], caller(request)
    running = [shown(one) for one in registry if sees(key, one)]
    recent = [shown(one) for one in islice((one for one in registry.recent() if sees(key, one)), _RECENT)]
    if key.admin:
        recent = _latest([*recent, *(refused(one) for one in request.app[OBSERVER].refusals.recent)])
    told = await others(request, machines=_asks_all(request))
    for other in told.answers:
        running.extend(other["data"])
        recent.extend(other["recent"])
    unanswered = [*(one.name for one in told.unanswered), *_passed(told.answers)]
    return _json({"object": "list", "data": running, "recent": recent, "unanswered": unanswered})


def _asks_all(request: web.Request) -> bool:
    """Raises GatewayError for a key that may not see the replicas."""
    if request.query.get("all", "false") == "false":
        return False
    if not caller(request).admin:
        raise GatewayError("Only an admin key may ask all replicas.", status=403, code="forbidden")
    return True


def _passed(answers: list[Json]) -> list[str]:
    """What other machines say of their own workers."""
    return [name for one in answers for name in one.get("unanswered", ())]


def _latest(shown: list[Json]) -> list[Json]:
    return sorted(shown, key=lambda one: one["started_at"] + (one["duration_ms"] or 0) / 1000, reverse=True)[:_RECENT]


def refused(one: Refusal) -> Json:
    """A request that was refused before it had a task, in the form of the others, with what is known of it beside."""
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
    """The way of a request, while it runs and for as long as it is remembered."""
    from llmproxy.requests.flight_record import flight_record

    return _json(flight_record(_found(request), partial(_output_rate, request.app[ACCOUNTS].pricing)))


def _output_rate(pricing: Pricing, provider: str, model: str, tokens_in: int) -> int | None:
    price = pricing.price(provider, model, time.time())
    return price.rate("output", tokens_in) if price is not None else None


async def cancel(request: web.Request) -> web.Response:
    """Stops it, and answers when its provider's connection is closed. Asking again gives the same.

    Of several workers each stops what it knows by this id: a client may have used it twice.
    """
    running, id = _sought(request), request.match_info["id"]
    if running is not None:
        running.stop("api" if running.owner == caller(request).name else "admin")
    if running is None or not request.app[REGISTRY].made(id):  # else it may be a client's own, used twice
        told = await others(request, id)
        if running is None:
            return _json(_one_of(told, id))
    await ended(running)
    return _json(shown(running))


def _one_of(told: Others, id: str) -> Json:
    """What is shown of a request that others know. Raises GatewayError: 404, or 503 if it may be where nobody answers."""
    if not told.answers:
        refuse_unknown(told.unanswered)
        raise not_found(id)
    return told.answers[0]


async def cancel_many(request: web.Request) -> web.Response:
    """An administrator's stop: `{"model"?, "provider"?, "owner"?}`, all that fit; without a body everything."""
    if not caller(request).admin:
        raise GatewayError("Only an admin key may stop other people's requests.", status=403, code="forbidden")
    raw = await read_json(request, request.app[CURRENT].config.server)
    wanted = parse_body(raw) if raw else {}
    if unknown := wanted.keys() - _CHOOSES:  # a slip of the pen must not stop everybody
        raise BadRequest(f"Requests are chosen by {', '.join(_CHOOSES)}.", param=min(unknown), code="unknown_parameter")
    stopped = request.app[REGISTRY].stop_all("admin", lambda one: _fits(one, wanted))
    await ended(*stopped)
    data = [shown(one) for one in stopped]
    told = await others(request)
    for other in told.answers:
        data.extend(other["data"])
    unanswered = [*(one.name for one in told.unanswered), *_passed(told.answers)]
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
    if running is None:  # somebody else's is as unknown as none
        raise not_found(request.match_info["id"])
    return running


def not_found(id: str) -> GatewayError:
    return GatewayError(f"There is no request {id!r}.", status=404, code="request_not_found", param="id")


def shown(running: Running) -> Json:
    """A request as the API shows it; ages and times in seconds or milliseconds as their names say."""
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
        "tries": [_tried(one.record()) for one in trace.tries],
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
        "cost": attempt.said_cost,
        "ttft_ms": attempt.ttft_ms,
        "duration_ms": attempt.duration_ms,
        "provider_id": attempt.provider_id,
    }


def _cost(running: Running) -> float | None:
    """Dollars: what was computed when it ended, until then what the provider says."""
    if running.cost_e12 is not None:
        return running.cost_e12 / DOLLAR
    return running.usage.cost if running.usage else None


def _ms(until: float | None, since: float) -> float | None:
    return round((until - since) * 1000, 1) if until is not None else None


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")


async def stop(request: web.Request, id: str) -> web.Response:
    """Cancels the caller's request of that id, and answers when its provider's connection is closed."""
    running = request.app[REGISTRY].get(id, owner(request))
    if running is not None:
        running.stop("api")
    elsewhere = NOBODY if running is not None and request.app[REGISTRY].made(id) else await others(request, id)
    if running is not None:
        await ended(running)
    cancelled = running is not None and running.state == "cancelled"
    cancelled = cancelled or any(told["status"] == "cancelled" for told in elsewhere.answers)
    if not cancelled and running is None:
        refuse_unknown(elsewhere.unanswered)
    status = "cancelled" if cancelled else "not_found"
    return web.json_response({"status": status, "request_id": id})
