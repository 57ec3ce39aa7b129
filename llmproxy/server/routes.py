"""Every route of the server in one table. What is not in it needs a key and is not found."""

from __future__ import annotations

from .endpoints import (
    api,
    gemini,
    health,
    kept_responses,
    keys,
    messages,
    metrics,
    models,
    native,
    page,
    requests,
    responses,
    threads,
    usage,
)
from .endpoints.chat_completions import chat_completions
from .endpoints.completions import completions
from .endpoints.embeddings import embeddings
from .middleware.routes import Route

_GEMINI = tuple(
    Route("POST", f"/{version}/{{model:.+}}:{method}", handler, counts=method != "countTokens", dialect="gemini")
    for version in ("v1beta", "v1")
    for method, handler in (
        ("generateContent", gemini.generate),
        ("streamGenerateContent", gemini.stream),
        ("countTokens", gemini.count),
        ("embedContent", gemini.embed),
        ("batchEmbedContents", gemini.embed_many),
    )
)

API = (
    Route("POST", "/v1/chat/completions", chat_completions, counts=True),
    Route("POST", "/v1/completions", completions, counts=True),
    Route("POST", "/v1/embeddings", embeddings, counts=True),
    Route("POST", "/v1/responses", responses.create, counts=True, dialect="responses"),
    Route("GET", "/v1/responses", responses.websocket, dialect="responses"),
    Route("POST", "/v1/responses/input_tokens", kept_responses.input_tokens, dialect="responses"),
    Route("GET", "/v1/responses/{id}", kept_responses.one, dialect="responses"),
    Route("DELETE", "/v1/responses/{id}", kept_responses.delete, dialect="responses"),
    Route("POST", "/v1/responses/{id}/cancel", kept_responses.cancel, dialect="responses"),
    Route("GET", "/v1/responses/{id}/input_items", kept_responses.input_items, dialect="responses"),
    *(  # clients differ in whether they append /v1 themselves, and people mix them up
        Route("POST", f"{base}/messages{path}", handler, counts=counts, dialect="messages")
        for base in ("/v1", "/v1/v1", "")
        for path, handler, counts in (("", messages.create, True), ("/count_tokens", messages.count_tokens, False))
    ),
    Route("HEAD", "/api/hello", messages.hello, access="open"),
    Route("GET", "/v1/models", gemini.by_header(models.models, gemini.models)),
    Route("GET", "/v1/models/{id:.+}", gemini.by_header(models.model, gemini.model)),
    *_GEMINI,
    Route("GET", "/v1beta/models", gemini.models, dialect="gemini"),
    Route("GET", "/v1beta/models/{id:.+}", gemini.model, dialect="gemini"),
    Route("*", "/v1beta/{rest:.*}", gemini.nothing, dialect="gemini"),
    Route("GET", "/v1/requests", requests.listed),
    Route("GET", "/v1/requests/{id}", requests.one),
    Route("GET", "/v1/requests/{id}/stream", native.resume),
    Route("POST", "/v1/requests/{id}/cancel", requests.cancel),
    Route("POST", "/v1/requests/cancel", requests.cancel_many),
    Route("POST", "/chat/stream", native.chat_stream, counts=True),
    Route("POST", "/chat/cancel", native.chat_cancel),
    Route("GET", "/threads", threads.listed),
    Route("POST", "/threads", threads.create),
    Route("DELETE", "/threads", threads.delete_all),
    Route("GET", "/threads/search", threads.find),
    Route("GET", "/threads/export", threads.export_file),
    Route("POST", "/threads/import", threads.import_file),
    Route("POST", "/threads/cancel/{request_id}", threads.cancel),
    Route("GET", "/threads/{id}", threads.one),
    Route("PATCH", "/threads/{id}", threads.change),
    Route("DELETE", "/threads/{id}", threads.delete),
    Route("GET", "/threads/{id}/messages", threads.all_messages),
    Route("POST", "/threads/{id}/messages/stream", threads.ask_in, counts=True),
    Route("GET", "/threads/{id}/export", threads.export_file),
    Route("GET", "/api/info", api.info),
    Route("GET", "/api/metrics/performance", api.performance),
    Route("GET", "/api/keys", keys.listed),
    Route("POST", "/api/keys", keys.create),
    Route("GET", "/api/keys/{name}", keys.one),
    Route("PATCH", "/api/keys/{name}", keys.change),
    Route("DELETE", "/api/keys/{name}", keys.revoke),
    Route("POST", "/api/keys/{name}/rotate", keys.rotate),
    Route("GET", "/api/usage", usage.usage),
    Route("GET", "/metrics", metrics.metrics),
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
