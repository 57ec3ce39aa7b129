"""Classifies addresses: this machine, private network, cloud metadata service."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

_LOCALHOST = ("localhost", "ip6-localhost", "localhost.localdomain")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Metadata services of clouds, which give credentials to local callers. 169.254.0.0/16 and fe80::/10 are link-local in any case.
_METADATA = {"fd00:ec2::254", "100.100.100.200", "metadata.google.internal", "metadata", "instance-data"}


def address(host: str) -> Address | None:
    """The IP address written as `host`, also in unusual forms that resolvers accept (0x7f000001, 127.1); None for a name."""
    try:
        found: Address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        try:
            found = ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def is_loopback(host: str) -> bool:
    found = address(host)
    name = host.lower().rstrip(".")
    return found.is_loopback if found else name in _LOCALHOST or name.endswith(".localhost")


def is_private(host: str) -> bool:
    """Loopback, a private network, or a name without a dot, as containers and office networks use (`ollama`, `nas.local`)."""
    found = address(host)
    if found:
        return found.is_private and not found.is_link_local
    name = host.lower().rstrip(".")
    return "." not in name or name.endswith((".local", ".internal", ".lan", ".localhost", ".home.arpa"))


def is_metadata(host: str) -> bool:
    found = address(host)
    return (found is not None and found.is_link_local) or str(found or host.lower().rstrip(".")) in _METADATA


def is_own(url: str, host: str, port: int) -> bool:
    """Whether `url` leads to the server that listens on `host` and `port`. Names are not resolved; loops through a name are
    found later, by the requests (see core/hops.py).
    """
    parts = urlsplit(url)
    usual = 443 if parts.scheme == "https" else 80
    name = (parts.hostname or "").rstrip(".")
    if not port or (parts.port or usual) != port:
        return False
    return (
        name == host.lower()
        or (_is_everywhere(host) and _is_here(name))
        or (is_loopback(host) and _is_same(name, host))
    )


def _is_everywhere(host: str) -> bool:
    found = address(host)
    return not host or (found is not None and found.is_unspecified)


def _is_here(name: str) -> bool:
    """Loopback, this machine's name, or one of its addresses."""
    if is_loopback(name) or name in (socket.gethostname().lower(), "0.0.0.0", "::"):
        return True
    found = address(name)
    if found is None:
        return False
    try:
        with socket.socket(socket.AF_INET6 if found.version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((str(found), 0))
    except OSError:
        return False
    return True


def _is_same(name: str, host: str) -> bool:
    """Whether two spellings of loopback are one address. `localhost` may mean any of them."""
    if not is_loopback(name):
        return False
    one, other = address(name), address(host)
    return one is None or other is None or one == other


def problem_with(url: str) -> str:
    """The problem with `url` as a provider's address; empty if there is none. Never contains a password of the URL."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "must begin with http:// or https:// and name a host"
    return _problem_with_parts(parts, parts.hostname)


def _problem_with_parts(parts: SplitResult, host: str) -> str:
    if parts.username or parts.password:
        return "must not hold a user or password: put the key into api_key"
    if parts.fragment:
        return "must not have a fragment (#...)"
    if is_metadata(host):
        return f"{host} is a link-local or cloud metadata address, which is never a provider"
    return ""


def completed(url: str, default: str = "") -> str:
    """A full URL from common short forms: `host`, `host:port`, `:11434`, `0.0.0.0:11434`, `[::]`. Scheme and port come from
    `default`. An address that is only for listening becomes this machine's own.
    """
    url = url.strip().rstrip("/")
    if not url:
        return url
    scheme, slashes, rest = url.rpartition("://")
    authority, slash, path = rest.partition("/")
    if authority.count(":") > 1 and not authority.startswith("["):
        authority = f"[{authority}]"
    host, port = _split_port(authority)
    if not port and not slashes and default and (usual := urlsplit(default).port):
        port = f":{usual}"
    return f"{scheme if slashes else 'http'}://{_EVERYWHERE.get(host, host)}{port}{slash}{path}"


_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "[::]": "[::1]"}


def _split_port(authority: str) -> tuple[str, str]:
    """Splits `[::1]:80` into `[::1]` and `:80`."""
    end = authority.rfind("]") + 1
    colon = authority.find(":", end)
    return (authority[:colon], authority[colon:]) if colon >= 0 else (authority, "")
