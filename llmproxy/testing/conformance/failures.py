"""Checks of error replies: the provider's, and the gateway's own."""

from __future__ import annotations

from typing import Any

import orjson

from ..connection import Behaviour
from ..validate import check_error
from .harness import Check, Harness, Seen, clean, expect, taken

UNSUPPORTED = {
    "message": "'max_tokens' is not supported.",
    "type": "invalid_request_error",
    "param": "max_tokens",
    "code": "unsupported_parameter",
}


async def bad_request(harness: Harness) -> str:
    harness.answers({"error": UNSUPPORTED}, 400)
    seen = await harness.stream()
    expect(seen.status == 400, f"status {seen.status}")
    error = _error(seen)
    lost = {key: error.get(key) for key, value in UNSUPPORTED.items() if error.get(key) != value}
    expect(not lost, f"changed: {lost}")
    return "status, message, type, param and code"


async def rate_limit(harness: Harness) -> str:
    body = {"error": {"message": "Slow down.", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}
    harness.answers(body, 429, retry_after="97")
    seen = await harness.ask()
    expect(seen.status == 429, f"status {seen.status}")
    expect(seen.headers.get("retry-after") == "97", f"retry-after {seen.headers.get('retry-after')}")
    expect(_error(seen).get("code") == "rate_limit_exceeded", f"code {_error(seen).get('code')!r}")
    return "status, code and Retry-After"


async def quota(harness: Harness) -> str:
    harness.answers(
        {"error": {"message": "Pay.", "type": "insufficient_quota", "param": None, "code": "insufficient_quota"}}, 429
    )
    seen = await harness.ask()
    expect(len(harness.asked) == 1, f"tried {len(harness.asked)} times")
    expect(_error(seen).get("code") == "insufficient_quota", f"code {_error(seen).get('code')!r}")
    return "told at once"


async def number_for_a_code(harness: Harness) -> str:
    harness.answers({"error": {"message": "No credits.", "code": 402}}, 402)
    seen = await harness.ask()
    expect(seen.status == 402, f"status {seen.status}")
    clean(check_error(seen.body))
    return f"code {_error(seen)['code']!r}"


async def web_page(harness: Harness) -> str:
    page = b"<html><body>502 Bad Gateway</body></html>"
    harness.always(Behaviour([page], 502, {"content-type": "text/html"}, framing="length"))
    seen = await harness.ask()
    expect(seen.status >= 500, f"status {seen.status}")
    clean(check_error(seen.body))
    expect(b"<html>" not in seen.body, "the page is in the message")
    return f"status {seen.status}"


async def spent_retries(harness: Harness) -> str:
    harness.answers({"error": {"message": "Busy.", "type": "server_error", "param": None, "code": None}}, 503)
    seen = await harness.ask()
    expect(seen.status >= 500, f"status {seen.status}")
    tried, advice = len(harness.asked), seen.headers.get("x-should-retry")
    expect(tried == 1 or advice == "false", f"tried {tried} times, x-should-retry is {advice}")
    return f"tried {tried} times, x-should-retry is {advice}"


async def bad_json(harness: Harness) -> str:
    return await _refusal(harness, "/v1/chat/completions", b'{"model": ', 400)


async def no_messages(harness: Harness) -> str:
    """A gateway may leave the refusal to the provider, which answers as OpenAI does."""
    harness.answers({"error": {**UNSUPPORTED, "code": "missing_required_parameter", "param": "messages"}}, 400)
    return await _refusal(harness, "/v1/chat/completions", orjson.dumps({"model": harness.model}), 400)


async def unknown_path(harness: Harness) -> str:
    harness.answers({"error": {**UNSUPPORTED, "code": "unknown_url", "param": None}}, 404)
    return await _refusal(harness, "/v1/chat/nothing", b"{}", 404)


async def unknown_model(harness: Harness) -> str:
    body = {"model": "no-such-model-anywhere", "messages": [{"role": "user", "content": "Hello"}]}
    harness.answers({"error": {**UNSUPPORTED, "code": "model_not_found", "param": "model"}}, 404)
    return await _refusal(harness, "/v1/chat/completions", orjson.dumps(body), 404)


async def _refusal(harness: Harness, path: str, body: bytes, status: int) -> str:
    async with harness.send("POST", path, body) as response:
        seen = await taken(response)
    expect(seen.status == status, f"status {seen.status}")
    clean(check_error(seen.body))
    return f"status {seen.status}"


def _error(seen: Seen) -> dict[str, Any]:
    clean(check_error(seen.body))
    error: dict[str, Any] = orjson.loads(seen.body)["error"]
    return error


CHECKS = [
    Check("errors", "a 400 keeps all it says", bad_request),
    Check("errors", "a 429 keeps Retry-After", rate_limit),
    Check("errors", "an exhausted quota is not tried again", quota),
    Check("errors", "a number for a code becomes a string", number_for_a_code),
    Check("errors", "a web page with a 502 becomes an error object", web_page),
    Check("errors", "spent retries are not multiplied by the client's", spent_retries),
    Check("errors", "bad JSON", bad_json, asks=False),
    Check("errors", "no messages", no_messages, asks=False),
    Check("errors", "an unknown path", unknown_path, asks=False),
    Check("errors", "an unknown model", unknown_model, asks=False),
]
