"""Validates hosts, origins and model patterns: entries that can never match are refused."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

from .errors import Path, Wrong

_HOST = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9._-]+")
_REGEX = re.compile(r"(^|/)\.\*")  # no model name begins with a dot, so this is a regular expression
_LOCAL = re.compile(r"localhost|127\.|\[::1\]")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def check_hosts(hosts: Collection[str], path: Path) -> None:
    """Names as in a Host header. Raises Wrong."""
    for index, host in enumerate(hosts):
        if host != "*" and _HOST.fullmatch(host) is None:
            raise Wrong((*path, index), _message(host, "Host header", "the name only, in lower case", "gw.example"))


def check_origins(origins: Collection[str], path: Path) -> None:
    """Origins as browsers send them. Raises Wrong."""
    for index, origin in enumerate(origins):
        form = _origin(origin)
        if origin not in ("*", "null") and (not origin or form != origin):
            raise Wrong(
                (*path, index), _message(origin, "Origin header", "it as a browser does", "https://app.example")
            )


def check_networks(networks: Collection[str], path: Path) -> None:
    """Addresses and networks of proxies. Raises Wrong for anything else."""
    for index, network in enumerate(networks):
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise Wrong((*path, index), 'is no address or network, such as "127.0.0.1" or "10.0.0.0/8"') from None


def check_patterns(patterns: Collection[str], path: Path) -> None:
    """Patterns of model names. Raises Wrong."""
    for index, pattern in enumerate(patterns):
        form = _pattern(pattern)
        if not pattern or form != pattern:
            raise Wrong((*path, index), _message(pattern, "model's name", "names or patterns", "openai/gpt-*"))


def named_like(pattern: str, providers: Collection[str], others: Collection[str]) -> str:
    """The provider that `pattern` probably means, if it is its name alone or in another case; otherwise empty."""
    head, slash, _ = pattern.partition("/")
    known = next((name for name in providers if name.lower() == head.lower()), None)
    if known is None or pattern in others or (slash and head == known):
        return ""
    return known


def _message(given: str, what: str, form: str, example: str) -> str:
    """What is expected. The entry itself is not shown, not even a part of it: see errors.shown."""
    if "," in given:
        return f"can match no {what}: one to an entry, without commas"
    if "*" in given and what != "model's name":
        return f'can match no {what}: patterns are not known here; name each one, or "*" for all'
    return f'can match no {what}: write {form}, such as "{example}"'


def _origin(given: str) -> str:
    """The origin that a browser sends for a text such as a URL; empty if there is none."""
    given = given.strip()
    local = _LOCAL.match(given) is not None
    parts = _split(given if "://" in given else f"http{'' if local else 's'}://{given}")
    if parts is None or not parts.scheme or not parts.hostname:
        return ""
    name = _ascii(parts.hostname)
    shown = f"[{name}]" if ":" in name else name
    if _HOST.fullmatch(shown) is None:
        return ""
    port = f":{parts.port}" if parts.port not in (None, _DEFAULT_PORTS.get(parts.scheme)) else ""
    return f"{parts.scheme}://{shown}{port}"


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname
    except ValueError:
        return None
    return parts


def _ascii(name: str) -> str:
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return name


def _pattern(given: str) -> str:
    pattern = _REGEX.sub(r"\1*", given.strip().lstrip("/").removeprefix("^").removesuffix("$"))
    if pattern.startswith("!") or "," in pattern:
        return ""
    return f"{pattern}*" if pattern.endswith("/") else pattern
