"""Proxies for calls to providers: those of the environment, and validation of configured ones."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from .errors import ConfigError

KINDS = {
    "http": "http",
    "https": "https",
    "socks": "socks5",
    "socks5": "socks5",
    "socks5h": "socks5",
    "socks4": "socks4",
    "socks4a": "socks4",
}
PROXY_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks4": 1080}
_VARIABLES = {"http": "http_proxy", "https": "https_proxy", "all": "all_proxy", "no": "no_proxy"}


def from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY as `http`, `https`, `all` and `no`.

    Lower-case names have priority, as in other programs. Raises ConfigError for an invalid one.
    """
    found = {}
    for name, variable in _VARIABLES.items():
        which = next((one for one in (variable, variable.upper()) if environ.get(one)), "")
        if not which or (
            which == "HTTP_PROXY" and "REQUEST_METHOD" in environ
        ):  # under CGI, HTTP_PROXY is a client's header
            continue
        found[name] = environ[which]
        if name != "no" and not is_proxy(found[name]):
            raise ConfigError(f"environment variable {which}: {PROBLEM}")
    return found if found.keys() - {"no"} else {}


PROBLEM = "must be an HTTP proxy (http://host:port, https://host:port) or a SOCKS one (socks5://host:port)"


def is_proxy(url: str) -> bool:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        return parts.scheme in KINDS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
