"""The headers of a provider's response that a client may see."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

_PASSED_ON = re.compile(
    r"x-ratelimit-[a-z-]+|anthropic-ratelimit-[a-z0-9-]+|openai-processing-ms|openai-version|x-generation-id"
)
_IDS = ("x-generation-id", "x-request-id", "request-id")  # headers with the provider's own ID of a request
_PLAIN = re.compile(r"[\x20-\x7e]{1,200}")


def passed_on(headers: Mapping[str, str], secret: str = "") -> dict[str, str]:
    """The provider's headers on the allow-list. Values with unsafe characters, or with the gateway's own key (`secret`), are
    left out."""
    shown = {k: v for k, v in headers.items() if _is_passed_on(k) and _PLAIN.fullmatch(v)}
    return {k: v for k, v in shown.items() if secret not in v} if secret and shown else shown


@lru_cache(1024)  # cached, because the same few names are used
def _is_passed_on(name: str) -> bool:
    return _PASSED_ON.fullmatch(name) is not None


def with_ours(headers: Mapping[str, str]) -> dict[str, str]:
    """Renames the provider's rate-limit headers if the gateway sends its own to the client."""
    limits = "x-ratelimit-"
    return {f"X-LLMProxy-Upstream-{k.removeprefix('x-')}" if k.startswith(limits) else k: v for k, v in headers.items()}


def provider_id(headers: Mapping[str, str]) -> str | None:
    """The provider's own ID of the request."""
    for name in _IDS:
        if name in headers:
            return headers[name]
    return None
