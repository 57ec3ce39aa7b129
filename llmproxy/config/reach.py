"""Where the commands that talk to a running gateway find it, and the key they show."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from .addresses import completed, problem_with
from .errors import ConfigError
from .values import Server


@dataclass(frozen=True, slots=True)
class Reach:
    """`base_url` ends in /v1, as an SDK wants it. `key` may be empty."""

    base_url: str
    key: str = field(default="", repr=False)


def reach(base_url: str | None = None, environ: Mapping[str, str] | None = None) -> Reach:
    """The gateway at `base_url`, else LLMPROXY_URL, else where `serve` listens under the same variables."""
    environ = os.environ if environ is None else environ
    key = environ.get("LLMPROXY_KEY") or environ.get("LLMPROXY_KEYS") or ""
    url = completed(base_url or environ.get("LLMPROXY_URL") or _own_address(environ))
    if problem := problem_with(url):
        raise ConfigError(f"the gateway's address {problem}")
    return Reach(url if url.endswith("/v1") else f"{url}/v1", key.partition(",")[0].strip())


def _own_address(environ: Mapping[str, str]) -> str:
    host = environ.get("LLMPROXY_HOST") or Server().host
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{environ.get('LLMPROXY_PORT') or Server().port}"
