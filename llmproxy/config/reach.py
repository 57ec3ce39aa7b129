"""Base URL and key for commands that call a running gateway."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from .addresses import completed, problem_with
from .cleaned import Cleaned
from .environ import client_keys, settings
from .errors import ConfigError
from .values import Server


@dataclass(frozen=True, slots=True)
class Reach:
    """`base_url` ends in /v1, as SDKs expect. `key` may be empty."""

    base_url: str
    key: str = field(default="", repr=False)


def reach(base_url: str | None = None, environ: Mapping[str, str] | None = None) -> Reach:
    """The gateway at `base_url`, else at LLMPROXY_URL, else where `serve` listens with the same variables."""
    environ = Cleaned(os.environ if environ is None else environ)
    key = next((one.secret for one in client_keys(environ)), "")
    url = completed(base_url or environ.get("LLMPROXY_URL") or _own_address(environ))
    if problem := problem_with(url):
        raise ConfigError(f"the gateway's address {problem}")
    return Reach(url if url.endswith("/v1") else f"{url}/v1", key)


def _own_address(environ: Mapping[str, str]) -> str:
    server = settings(environ).get("server", {})
    host = server.get("host") or Server().host
    shown = host if host.startswith("[") or ":" not in host else f"[{host}]"
    return f"http://{shown}:{server.get('port') or Server().port}"
