"""Which connection a URL needs: its host, with TLS or without, directly or through a proxy."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed has not got it

from llmproxy.core.errors import BadRequest

PORTS = {"http": 80, "https": 443}
PRINTABLE = re.compile(r"[\x21-\x7e]+")


class Proxy(NamedTuple):
    """An HTTP proxy. `fields` are the headers it wants."""

    host: str
    port: int
    fields: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:  # the fields hold a password
        return f"Proxy({self.host!r}, {self.port})"


class Route(NamedTuple):
    """What makes two requests able to share a connection. With a proxy the way there is a tunnel."""

    host: str
    port: int
    tls: bool
    tunnel: Proxy | None = None

    @property
    def authority(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """A URL as a request says it: `host` and `path` for the wire, `fields` for the proxy on the way."""

    route: Route
    host: str
    path: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxy for each URL: one for all, or by scheme as in HTTP_PROXY, HTTPS_PROXY and NO_PROXY (`no`)."""

    by_scheme: Mapping[str, Proxy] = field(default_factory=dict)
    no: str = ""

    @classmethod
    def parse(cls, given: str | Mapping[str, str] | None) -> Proxies:
        """Takes a proxy's URL, or what urllib.request.getproxies() gives. Raises ValueError if it is not over http."""
        if isinstance(given, str):
            given = dict.fromkeys(PORTS, given)
        by_scheme = {scheme: _proxy(given[scheme]) for scheme in PORTS if given and given.get(scheme)}
        return cls(by_scheme, (given or {}).get("no", ""))

    def find(self, scheme: str, host: str, port: int) -> Proxy | None:
        proxy = self.by_scheme.get(scheme)
        bypassed = proxy and self.no and proxy_bypass_environment(f"{host}:{port}", {"no": self.no})
        return None if bypassed else proxy

    def target(self, url: str) -> Target:
        """Raises BadRequest for what is not an absolute http or https URL."""
        parts = _split(url)
        scheme, name = parts.scheme, parts.hostname or ""
        port = parts.port or PORTS[scheme]
        host = bracketed(name) if port == PORTS[scheme] else f"{bracketed(name)}:{port}"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        proxy = self.find(scheme, name, port)
        if proxy is not None and scheme == "http":
            return Target(Route(proxy.host, proxy.port, False), host, f"http://{host}{path}", dict(proxy.fields))
        return Target(Route(name, port, scheme == "https", proxy), host, path)


def bracketed(host: str) -> str:
    """A host as URLs write it: IPv6 literals in brackets."""
    return f"[{host}]" if ":" in host else host


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0 and parts.username is None
    except ValueError:
        sound = False
    # urlsplit drops line ends without a word, so the whole is looked at.
    if not sound or PRINTABLE.fullmatch(url) is None:
        raise BadRequest("The provider's address is not a valid http or https URL.")
    return parts


def _proxy(url: str) -> Proxy:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("a proxy must be given as http://host:port")
    if parts.username is None:
        return Proxy(parts.hostname, parts.port or 80)
    secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return Proxy(parts.hostname, parts.port or 80, (("proxy-authorization", f"Basic {b64encode(secret).decode()}"),))
