"""What a provider's error status means: the error for the client, and whether another attempt makes sense."""

from __future__ import annotations

from collections.abc import Mapping

from llmproxy.core import hops
from llmproxy.core.adapter import Adapter
from llmproxy.core.errors import UpstreamError
from llmproxy.core.trace import Attempt

from .adapter_calls import called
from .shown_headers import passed_on

_BEFORE_WORK = frozenset((429, 503))  # the provider refused the request before it began to work on it
# A 404 about something in the request.
_NOT_FOUND = frozenset(("model_not_found", "previous_response_not_found", "item_not_found", "response_not_found"))


def failure(adapter: Adapter, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """The error for a reply with a status other than 2xx."""
    if 300 <= status < 400:  # never followed: the prompt and the key would be sent to any address
        return UpstreamError(f"{adapter.account.name} answered with a redirect ({status}).", code="upstream_redirect")
    error = called(adapter.error, status, headers, body)
    error.headers = {**passed_on(headers, adapter.account.api_key), **error.headers}
    if status == hops.LOOP:  # every other attempt would end in the same loop
        error.retry_here, error.headers["x-should-retry"] = False, "false"
    return error


def forbid_retry(error: UpstreamError, attempt: Attempt) -> None:
    """For a request that is too expensive to repeat: after it was sent, it is not repeated, not by the client either."""
    if attempt.sent and error.status not in _BEFORE_WORK:
        error.retry_here = False
        error.headers["x-should-retry"] = "false"


def is_missing_endpoint(error: UpstreamError, status: int) -> bool:
    """Whether a 404 or 405 is about the path, and not about the model or something that the request refers to."""
    about_request = error.code in _NOT_FOUND or error.param or "model" in error.message.lower()
    return status in (404, 405) and not about_request
