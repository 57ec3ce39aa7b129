"""Table of all routes. A path that is not in it needs a key, and is a 404."""

from __future__ import annotations

import importlib

from aiohttp import web

from .endpoints import api, health, lost, metrics, models, native, page, requests, threads
from .endpoints.chat_completions import chat_completions
from .endpoints.completions import completions
from .endpoints.embeddings import embeddings
from .middleware.routes import Handler, Route


def _later(module: str, name: str) -> Handler:
    """A handler whose module is loaded at its first request, so that the start stays fast."""

    async def handler(request: web.Request) -> web.StreamResponse:
        handle: Handler = getattr(importlib.import_module(f"{__package__}.endpoints.{module}"), name)
        return await handle(request)

    return handler


def _by_header(others: Handler, googles: Handler) -> Handler:
    """For a path that both APIs have: Google's clients are recognised by the header with their key."""

    async def either(request: web.Request) -> web.StreamResponse:
        return await (googles if "X-Goog-Api-Key" in request.headers else others)(request)

    return either


_GEMINI = tuple(
    Route("POST", f"/{version}/{{model:.+}}:{method}", handler, counts=method != "countTokens", dialect="gemini")
    for version in ("v1beta", "v1")
    for method, handler in (
        ("generateContent", _later("gemini", "generate")),
        ("streamGenerateContent", _later("gemini", "stream")),
        ("countTokens", _later("gemini", "count")),
        ("embedContent", _later("gemini", "embed")),
        ("batchEmbedContents", _later("gemini", "embed_many")),
    )
)

API = (
    Route("POST", "/v1/chat/completions", chat_completions, counts=True),
    Route("POST", "/v1/completions", completions, counts=True),
    Route("POST", "/v1/embeddings", embeddings, counts=True),
    Route("POST", "/v1/responses", _later("responses", "create"), counts=True, dialect="responses"),
    Route("GET", "/v1/responses", _later("responses", "websocket"), dialect="responses"),
    Route("POST", "/v1/responses/input_tokens", _later("responses", "input_tokens"), dialect="responses"),
    Route("POST", "/v1/responses/compact", _later("responses", "compact"), counts=True, dialect="responses"),
    Route("GET", "/v1/responses/{id}", _later("kept_responses", "one"), dialect="responses", peers=True),
    Route("DELETE", "/v1/responses/{id}", _later("kept_responses", "delete"), dialect="responses", peers=True),
    Route("POST", "/v1/responses/{id}/cancel", _later("kept_responses", "cancel"), dialect="responses", peers=True),
    Route(
        "GET",
        "/v1/responses/{id}/input_items",
        _later("kept_responses", "input_items"),
        dialect="responses",
        peers=True,
    ),
    *(  # clients differ in whether they append /v1 themselves, and people mix them up
        Route("POST", f"{base}/messages{path}", handler, counts=counts, dialect="messages")
        for base in ("/v1", "/v1/v1", "")
        for path, handler, counts in (
            ("", _later("messages", "create"), True),
            ("/count_tokens", _later("messages", "count_tokens"), False),
        )
    ),
    Route("HEAD", "/api/hello", _later("messages", "hello"), access="open"),
    Route("GET", "/v1/models", _by_header(models.models, _later("gemini", "models"))),
    Route("GET", "/v1/models/{id:.+}", _by_header(models.model, _later("gemini", "model"))),
    *_GEMINI,
    Route("GET", "/v1beta/models", _later("gemini", "models"), dialect="gemini"),
    Route("GET", "/v1beta/models/{id:.+}", _later("gemini", "model"), dialect="gemini"),
    Route("*", "/v1beta/{rest:.*}", _later("gemini", "nothing"), dialect="gemini"),
    Route("GET", "/v1/requests", requests.listed, peers=True),
    Route("GET", "/v1/requests/events", _later("request_events", "events")),
    Route("GET", "/v1/requests/{id}", requests.one, peers=True, lost=lost.one),
    Route("GET", "/v1/requests/{id}/trace", requests.trace, peers=True, lost=lost.refuse),
    Route("GET", "/v1/requests/{id}/stream", native.resume, peers=True, lost=lost.refuse),
    Route("POST", "/v1/requests/{id}/cancel", requests.cancel, peers=True, lost=lost.one),
    Route("POST", "/v1/requests/cancel", requests.cancel_many, peers=True),
    Route("POST", "/chat/stream", native.chat_stream, counts=True),
    Route("POST", "/chat/cancel", native.chat_cancel, peers=True),
    Route("GET", "/threads", threads.listed),
    Route("POST", "/threads", threads.create),
    Route("DELETE", "/threads", threads.delete_all, peers=True),
    Route("GET", "/threads/search", threads.find),
    Route("GET", "/threads/export", threads.export_file),
    Route("POST", "/threads/import", threads.import_file),
    Route("POST", "/threads/cancel/{request_id}", threads.cancel, peers=True),
    Route("GET", "/threads/{id}", threads.one),
    Route("PATCH", "/threads/{id}", threads.change),
    Route("DELETE", "/threads/{id}", threads.delete, peers=True),
    Route("GET", "/threads/{id}/messages", threads.all_messages),
    Route("POST", "/threads/{id}/messages/stream", threads.ask_in, counts=True),
    Route("GET", "/threads/{id}/export", threads.export_file),
    Route("GET", "/api/info", api.info),
    Route("GET", "/api/metrics/performance", api.performance),
    Route("GET", "/api/keys", _later("keys", "listed")),
    Route("POST", "/api/keys", _later("keys", "create")),
    Route("GET", "/api/keys/{name}", _later("keys", "one")),
    Route("PATCH", "/api/keys/{name}", _later("keys", "change")),
    Route("DELETE", "/api/keys/{name}", _later("keys", "revoke"), peers=True),
    Route("POST", "/api/keys/{name}/rotate", _later("keys", "rotate")),
    Route("GET", "/api/groups", _later("groups", "listed")),
    Route("POST", "/api/groups", _later("groups", "create")),
    Route("GET", "/api/groups/{name}", _later("groups", "one")),
    Route("PATCH", "/api/groups/{name}", _later("groups", "change")),
    Route("DELETE", "/api/groups/{name}", _later("groups", "delete")),
    Route("GET", "/api/usage", _later("usage", "usage")),
    Route("GET", "/internal/peer", _later("peers", "hello"), peers=True),
    Route("GET", "/metrics", metrics.metrics, peers=True),
    Route("GET", "/livez", health.livez, access="open", always=True),
    Route("GET", "/readyz", health.readyz, access="open", always=True),
    Route("GET", "/healthz", health.readyz, access="open", always=True),
)
PROBES = tuple(Route("HEAD", one.path, one.handler, access="open", always=True) for one in API if one.always)
PAGE = tuple(
    Route(method, path, handler, access="open")
    for path, handler in (("/", page.index), (r"/{path:(?:assets/)?[\w.-]+\.[a-z0-9]+}", page.file))
    for method in ("GET", "HEAD")
)
