"""Route of a URL: host, TLS, direct or through a proxy."""

from __future__ import annotations

import ipaddress
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from llmproxy.config.addresses import address, is_loopback
from llmproxy.config.proxies import KINDS, PROXY_PORTS
from llmproxy.core.errors import BadRequest

PORTS = {"http": 80, "https": 443}
PRINTABLE = re.compile(r"[\x21-\x7e]+")


class Proxy(NamedTuple):
    """A proxy: http, https (TLS to the proxy), or SOCKS. fields: headers for an HTTP proxy."""

    host: str
    port: int
    fields: tuple[tuple[str, str], ...] = ()
    kind: str = "http"
    user: str = ""
    password: str = ""

    @property
    def is_socks(self) -> bool:
        return self.kind.startswith("socks")

    def __repr__(self) -> str:  # fields may contain a password
        return f"Proxy({self.host!r}, {self.port})"


class Route(NamedTuple):
    """Requests with equal routes can share a connection. With a proxy it is a tunnel."""

    host: str
    port: int
    tls: bool
    tunnel: Proxy | None = None

    @property
    def authority(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a URL that a request needs: `host` and `path` for the request, `fields` for an HTTP proxy."""

    route: Route
    host: str
    path: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proxies:
    """Finds the proxy for a URL: one for all, or those of the environment with NO_PROXY (`no`).

    Proxies of the environment are not used for this machine.
    """

    by_scheme: Mapping[str, Proxy] = field(default_factory=dict)
    no: str = ""
    spares_loopback: bool = False

    @classmethod
    def parse(cls, given: str | Mapping[str, str] | None) -> Proxies:
        """Parses the URL of a proxy, or URLs by scheme with `all` and `no`. Raises ValueError for an unknown kind."""
        if not given:
            return cls()
        if isinstance(given, str):
            return cls(dict.fromkeys(PORTS, _proxy(given)))
        urls = {scheme: given.get(scheme) or given.get("all") for scheme in PORTS}
        by_scheme = {scheme: _proxy(url) for scheme, url in urls.items() if url}
        return cls(by_scheme, given.get("no", ""), spares_loopback=True)

    def find(self, scheme: str, host: str, port: int) -> Proxy | None:
        proxy = self.by_scheme.get(scheme)
        if proxy is None or (self.spares_loopback and is_loopback(host)):
            return None
        return None if self.no and is_exempt(self.no, host, port) else proxy

    def target(self, url: str) -> Target:
        """Parses a URL. Raises BadRequest if it is not an absolute http or https URL."""
        parts = _split(url)
        scheme, name = parts.scheme, parts.hostname or ""
        port = parts.port or PORTS[scheme]
        host = bracketed(name) if port == PORTS[scheme] else f"{bracketed(name)}:{port}"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        proxy = self.find(scheme, name, port)
        if proxy is not None and scheme == "http" and not proxy.is_socks:
            return Target(
                Route(proxy.host, proxy.port, proxy.kind == "https"), host, f"http://{host}{path}", dict(proxy.fields)
            )
        return Target(Route(name, port, scheme == "https", proxy), host, path)


def bracketed(host: str) -> str:
    """A host as in URLs: IPv6 literals in brackets."""
    return f"[{host}]" if ":" in host else host


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0 and parts.username is None
    except ValueError:
        sound = False
    # urlsplit removes line breaks silently, so the whole text is checked.
    if not sound or PRINTABLE.fullmatch(url) is None:
        raise BadRequest("The provider's address is not a valid http or https URL.")
    return parts


def is_exempt(no: str, host: str, port: int) -> bool:
    """Whether NO_PROXY contains the host, its domain, or its network (10.0.0.0/8), with or without the port."""
    return any(_names(entry.strip().lower(), host.lower().rstrip("."), port) for entry in re.split(r"[,\s]+", no))


def _names(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    name, found, wanted = entry.rpartition(":")
    if found and wanted.isdecimal() and (":" not in name or name.endswith("]")):
        if int(wanted) != port:
            return False
        entry = name
    name = entry.strip("[]").removeprefix("*").lstrip(".").rstrip(".")
    literal = address(host)
    if literal is not None:
        return _network_holds(name, literal)
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _network_holds(name: str, literal: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return literal in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False


def _proxy(url: str) -> Proxy:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in KINDS or not parts.hostname:
        raise ValueError("a proxy must be given as http://host:port or socks5://host:port")
    kind = KINDS[parts.scheme]
    port = parts.port or PROXY_PORTS[kind]
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.username is None or kind.startswith("socks"):
        return Proxy(parts.hostname, port, (), kind, user, password)
    secret = b64encode(f"{user}:{password}".encode()).decode()
    return Proxy(parts.hostname, port, (("proxy-authorization", f"Basic {secret}"),), kind)
