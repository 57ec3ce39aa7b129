"""The headers of a provider's response that a client may see."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PASSED_ON = re.compile(
    r"x-ratelimit-[a-z-]+|anthropic-ratelimit-[a-z0-9-]+|openai-processing-ms|openai-version|x-generation-id"
)
_PLAIN = re.compile(r"[\x20-\x7e]{1,200}")


def passed_on(headers: Mapping[str, str], secret: str = "") -> dict[str, str]:
    """The provider's headers that a client may see: an allow-list, no value that could be anything but a value, and none
    with our own key in it (`secret`)."""
    shown = {k: v for k, v in headers.items() if _PASSED_ON.fullmatch(k) and _PLAIN.fullmatch(v)}
    return {k: v for k, v in shown.items() if secret not in v} if secret else shown


def with_ours(headers: Mapping[str, str]) -> dict[str, str]:
    """The provider's own limits under another name, where the client has limits of ours."""
    limits = "x-ratelimit-"
    return {f"X-LLMProxy-Upstream-{k.removeprefix('x-')}" if k.startswith(limits) else k: v for k, v in headers.items()}
