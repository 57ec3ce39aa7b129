"""Validates hosts, origins and model patterns: entries that can never match are refused."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

from .errors import Path, Wrong
from .tables import Substituted

_HOST = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9._-]+")
_REGEX = re.compile(r"(^|/)\.\*")  # no model's name begins with a dot: a regular expression was meant
_LOCAL = re.compile(r"localhost|127\.|\[::1\]")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def check_hosts(hosts: Collection[str], path: Path) -> None:
    """Names as a Host header has them. Raises Wrong with the right form."""
    for index, host in enumerate(hosts):
        if host != "*" and _HOST.fullmatch(host) is None:
            raise Wrong((*path, index), _told(host, "Host header", _host(host), "gw.example"))


def check_origins(origins: Collection[str], path: Path) -> None:
    """Origins as browsers send them. Raises Wrong with the right form."""
    for index, origin in enumerate(origins):
        form = _origin(origin)
        if origin not in ("*", "null") and (not origin or form != origin):
            raise Wrong((*path, index), _told(origin, "Origin header", form, "https://app.example"))


def check_networks(networks: Collection[str], path: Path) -> None:
    """Addresses and networks of proxies. Raises Wrong for what is none."""
    for index, network in enumerate(networks):
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise Wrong((*path, index), 'is no address or network, such as "127.0.0.1" or "10.0.0.0/8"') from None


def check_patterns(patterns: Collection[str], path: Path) -> None:
    """Patterns of models' names. Raises Wrong with the right form."""
    for index, pattern in enumerate(patterns):
        form = _pattern(pattern)
        if not pattern or form != pattern:
            raise Wrong((*path, index), _told(pattern, "model's name", form, "openai/gpt-*"))


def named_like(pattern: str, providers: Collection[str], others: Collection[str]) -> str:
    """The pattern that was meant, where `pattern` is a provider's name, or one in another case; else an empty text."""
    head, slash, rest = pattern.partition("/")
    known = next((name for name in providers if name.lower() == head.lower()), None)
    if known is None or pattern in others or (slash and head == known):
        return ""
    return f"{known}/{rest or '*'}"


def _told(given: str, what: str, form: str, example: str) -> str:
    if "," in given:
        return f"can match no {what}: one to an entry, without commas"
    if "*" in given and not form:
        return f'can match no {what}: patterns are not known here; name each one, or "*" for all'
    shown = example if isinstance(given, Substituted) else form or example  # a variable may hold a secret
    return f'can match no {what}: write "{shown}"'


def _host(given: str) -> str:
    """The name in what people write; empty if there is none."""
    given = given.strip()
    bare = given if "//" in given else f"//{given if given.count(':') < 2 or '[' in given else f'[{given}]'}"
    parts = _split(bare)
    name = _ascii(parts.hostname or "") if parts is not None else ""
    shown = f"[{name}]" if ":" in name else name
    return shown if _HOST.fullmatch(shown) else ""


def _origin(given: str) -> str:
    """The origin that a browser sends for what people write; empty if there is none."""
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
