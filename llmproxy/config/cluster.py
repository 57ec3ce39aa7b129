"""Validates `[cluster]`: peers need a secret, and TLS needs all of its files."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.util import find_spec
from urllib.parse import urlsplit

from .addresses import completed, problem_with
from .cleaned import unsendable
from .errors import ConfigError
from .values import Cluster

LEAST_SECRET = 16  # characters: signatures are visible on the network, so a short secret could be found by trying
_PLACE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*):(\d{1,5})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_STORES = ("redis", "rediss", "unix")


def checked(cluster: Cluster) -> Cluster:
    """The table with complete addresses. Raises ConfigError. Messages never contain the secret, or an address that may contain
    a password.
    """
    if cluster.peers and cluster.dns:
        raise ConfigError("[cluster] takes `peers` or `dns`, not both")
    if cluster.names_peers or cluster.listen or cluster.advertise or cluster.secret:
        _check_secret(cluster.secret)
    if cluster.name and not _NAME.fullmatch(cluster.name):
        raise ConfigError("cluster.name must be letters, digits and . _ -, at most 63")
    for name, place in (("dns", cluster.dns), ("listen", cluster.listen)):
        if place and not is_place(place):
            raise ConfigError(f'cluster.{name} must be a name or address with a port, such as "llmproxy-peers:8811"')
    if cluster.redis and urlsplit(cluster.redis).scheme not in _STORES:
        raise ConfigError(f"cluster.redis must begin with {', '.join(f'{one}://' for one in _STORES)}")
    if cluster.redis and find_spec("redis") is None:
        raise ConfigError("cluster.redis needs a package: pip install 'llmproxy-gateway[redis]'")
    _check_tls(cluster)
    advertise = _peer(cluster.advertise, cluster, "advertise") if cluster.advertise else ""
    return replace(cluster, peers=tuple(_peer(one, cluster, "peers") for one in cluster.peers), advertise=advertise)


def is_place(text: str) -> bool:
    """Whether the text is `host:port`. The host of `listen` may be empty: all addresses."""
    found = _PLACE.fullmatch(text)
    return found is not None and int(found[2]) <= 65535


def _check_secret(secret: str) -> None:
    if not secret:
        raise ConfigError(
            "[cluster] with peers needs a `secret` (or LLMPROXY_CLUSTER_SECRET), the same on every replica"
        )
    if not secret.isprintable():
        raise ConfigError(f"cluster.secret: {unsendable(secret)}")
    if len(secret) < LEAST_SECRET:
        raise ConfigError(f"cluster.secret must have at least {LEAST_SECRET} characters: take `openssl rand -hex 32`")


def _check_tls(cluster: Cluster) -> None:
    given = [name for name in ("ca_file", "cert_file", "key_file") if getattr(cluster, name)]
    if not given:
        return
    if len(given) < 3:
        raise ConfigError("[cluster] TLS between replicas needs all of ca_file, cert_file and key_file")
    if not cluster.listen:
        raise ConfigError("[cluster] TLS between replicas needs `listen`, an address of its own for the peers")


def _peer(given: str, cluster: Cluster, name: str) -> str:
    url = completed(given, "https://:8811" if cluster.ca_file else "http://:8811")
    if cluster.ca_file and "://" not in given:
        url = url.replace("http://", "https://", 1)
    if problem := problem_with(url):
        raise ConfigError(f"cluster.{name}: an address {problem}")
    parts = urlsplit(url)
    if parts.path or parts.query:
        raise ConfigError(f"cluster.{name}: an address must have no path")
    if cluster.ca_file and parts.scheme != "https":
        raise ConfigError(f"cluster.{name}: an address must be https, as ca_file is set")
    return url
