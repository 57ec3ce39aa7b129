"""Client address and host from the headers of a trusted proxy."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from functools import lru_cache

from aiohttp import web

_MOST = 32  # addresses of a chain that are read
_PORT = re.compile(r"\[?([0-9A-Fa-f:.]+?)\]?(?::\d+)?")
_FORWARDED = re.compile(r"(?:^|[;,])\s*(for|host)=(?:\"([^\"]*)\"|([^;,\s]*))", re.IGNORECASE)


def client_address(request: web.Request, trusted: tuple[str, ...]) -> str:
    """The client's address: the peer's, or the last address before all trusted proxies."""
    peer = request.remote or ""
    if not trusted or not is_trusted(peer, trusted):
        return peer
    for address in _chain(request):
        if not is_trusted(address, trusted):
            return address
        peer = address
    return peer


def forwarded_host(request: web.Request, trusted: tuple[str, ...]) -> str | None:
    """The Host that a trusted proxy received; None if there is no such proxy or it does not send it."""
    if not trusted or not is_trusted(request.remote or "", trusted):
        return None
    given = request.headers.getall("X-Forwarded-Host", []) or _forwarded(request, "host")
    return given[-1].rpartition(",")[2].strip() if given else None


def is_trusted(address: str, trusted: tuple[str, ...]) -> bool:
    found = _address(address)
    return found is not None and any(found in network for network in _networks(trusted))


def _chain(request: web.Request) -> Iterator[str]:
    """The addresses that the proxies saw, the nearest first; stops at the first invalid one."""
    given = ",".join(request.headers.getall("X-Forwarded-For", []) or _forwarded(request, "for"))
    given = given or request.headers.get("X-Real-IP", "")
    for word in given.split(",")[: -_MOST - 1 : -1]:
        found = _PORT.fullmatch(word.strip())
        address = _address(found[1]) if found is not None else None
        if address is None:  # `unknown`, or invented
            return
        yield str(address)


def _forwarded(request: web.Request, name: str) -> list[str]:
    """The values of one parameter of the Forwarded header (RFC 7239)."""
    text = ",".join(request.headers.getall("Forwarded", []))
    return [quoted or plain for key, quoted, plain in _FORWARDED.findall(text) if key.lower() == name]


@lru_cache(256)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None) or found


@lru_cache(8)
def _networks(trusted: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(one, strict=False) for one in trusted)
