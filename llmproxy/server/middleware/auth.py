"""Authentication: finds the caller's key."""

from __future__ import annotations

import math

from aiohttp import web

from llmproxy.accounts.keys import Keyring
from llmproxy.config import Config, Key
from llmproxy.core.errors import GatewayError

from ..context import ANYBODY, AUTH_THROTTLE, CURRENT, NOBODY
from . import cors
from .credentials import shown_key
from .origin import check_form, check_host, check_origin
from .proxied import client_address
from .routes import Route


def admit(request: web.Request, route: Route, ring: Keyring, config: Config) -> Key:
    """The API key of a request. Raises GatewayError: 401, or 429 after many wrong keys from one address."""
    check_form(request)
    if route.always:  # a probe connects by address, and gets no protected data
        return NOBODY
    required = ring.required
    check_host(request, config, has_keys=required)
    check_origin(request, config, has_keys=required)
    if not required:
        return ANYBODY
    if route.access == "open" or cors.is_preflight(request):
        return NOBODY
    given = shown_key(request)
    found = ring.find(given)
    if found is None:
        raise _unknown(request, given)
    return found


def _unknown(request: web.Request, given: str) -> GatewayError:
    address = client_address(request, request.app[CURRENT].config.server.trusted_proxies)
    if given and (wait := request.app[AUTH_THROTTLE].wrong(address)) > 0:
        headers = {"Retry-After": str(math.ceil(wait)), "x-should-retry": "false", "Connection": "close"}
        text = "Too many wrong API keys came from your address."
        return GatewayError(text, status=429, code="too_many_wrong_keys", headers=headers)
    return GatewayError(
        "Incorrect API key provided." if given else "You must send an API key: `Authorization: Bearer KEY`.",
        status=401,
        type="invalid_request_error",
        code="invalid_api_key",
        headers={"WWW-Authenticate": "Bearer", "x-should-retry": "false"},
    )
