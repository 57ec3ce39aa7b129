"""Loads the configuration: file, then environment, then command line; later values win."""

from __future__ import annotations

import os
import pathlib
import re
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from . import environ as env
from .addresses import address, is_loopback, is_own
from .cleaned import Cleaned
from .errors import ConfigError, Wrong
from .proxies import from_environment
from .storage_url import by_url
from .values import Cluster, Config, Key, Provider, Server, Storage, Telemetry

FILE = "llmproxy.toml"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,253}")
ELSEWHERE: Mapping[str, Any] = {
    "port": 0
}  # overrides for commands that do not listen, so no provider can be at their address


def load(
    path: pathlib.Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    has_keys: Callable[[Storage], bool] | None = None,
) -> Config:
    """The configuration that is valid now. Raises ConfigError.

    path: the file; None means LLMPROXY_CONFIG, else ./llmproxy.toml if it exists, else no file.
    environ: os.environ by default.
    overrides: members of Server from the command line.
    has_keys: whether there are keys in the store; called only if it matters.
    """
    environ = Cleaned(os.environ if environ is None else environ)
    path = path or _file(environ)
    config = Config()
    if path:
        from .file import read

        config = read(path, environ)
    config = _with_environment(config, environ)
    config = replace(config, server=replace(config.server, **overrides or {}))
    _refuse_host(config.server.host)
    if not (has_keys is not None and _is_open(config.server) and has_keys(config.storage)):
        refuse_open_door(config.server)
    _refuse_idle_patterns(config)
    _refuse_loop(config)
    _refuse_workers(config.server)
    if config.cache.store == "redis" and not config.cluster.redis:
        raise ConfigError('[cache] store = "redis" needs the server: [cluster] redis (or LLMPROXY_CLUSTER_REDIS)')
    return replace(config, notes=(*config.notes, *_hidden(config)))


def _hidden(config: Config) -> list[str]:
    """A sentence if the other replicas cannot reach this one."""
    cluster = config.cluster
    elsewhere = [
        one for one in (*cluster.peers, _database(config)) if one and not is_loopback(urlsplit(one).hostname or "")
    ]
    if not (elsewhere or cluster.dns) or cluster.listen or not is_loopback(config.server.host):
        return []
    return ["[cluster] names other machines, but this gateway listens on loopback only: they cannot reach it"]


def _database(config: Config) -> str:
    """Where replicas find each other that are not named: those that share a server elsewhere are on several machines."""
    return config.storage.url if config.finds_peers_in_store and not config.cluster.advertise else ""


def _file(environ: Mapping[str, str]) -> pathlib.Path | None:
    if named := environ.get("LLMPROXY_CONFIG"):
        return pathlib.Path(named)
    here = pathlib.Path(FILE)
    try:
        kind = os.lstat(here).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{FILE} in the working directory cannot be looked for: {error.strerror}") from None
    if stat.S_ISDIR(kind):
        raise ConfigError(
            f"{FILE} in the working directory is a directory, not a file: "
            "a container engine makes one where the file that it was to mount is missing"
        )
    return here


def _with_environment(config: Config, environ: Mapping[str, str]) -> Config:
    changes = _settings(environ)
    server = replace(config.server, **changes.get("server", {}))
    own = {provider.name for provider in config.providers}
    found = tuple(env.providers(environ, own | config.switched_off))
    idle = env.idle_keys(environ, (*config.providers, *found), config.switched_off)
    keys, doubles = _distinct(server.keys, env.client_keys(environ))
    return replace(
        config,
        server=replace(server, host=server.host.strip("[]"), keys=keys),
        logs=replace(config.logs, **changes.get("logs", {})),
        storage=_placed(by_url(replace(config.storage, **changes.get("storage", {}))), environ),
        telemetry=_telemetry(config.telemetry, changes.get("telemetry", {})),
        cluster=_cluster(replace(config.cluster, **changes.get("cluster", {}))),
        providers=_demos_last((*config.providers, *found)),
        proxies=from_environment(environ),
        notes=(*config.notes, *env.notes(environ), *doubles, *idle),
    )


def _cluster(cluster: Cluster) -> Cluster:
    if cluster == Cluster():
        return cluster
    from .cluster import checked  # imported late: a single gateway does not need it

    return checked(cluster)


def _telemetry(written: Telemetry, changes: Mapping[str, Any]) -> Telemetry:
    """Other programs' variables (OTEL_...) are only used if an export is configured. Raises ConfigError."""
    found = replace(written, **changes)
    if not changes or (found.traces == "off" and not found.metrics):
        return found
    from .telemetry import headers_of, problem_with

    if problem := problem_with(found.endpoint):
        raise ConfigError(f"environment variable OTEL_EXPORTER_OTLP_ENDPOINT: {problem}")
    if headers_of(found.headers) is None:
        raise ConfigError("environment variable OTEL_EXPORTER_OTLP_HEADERS: must be NAME=VALUE, separated by commas")
    return found


def _distinct(written: tuple[Key, ...], found: tuple[Key, ...]) -> tuple[tuple[Key, ...], list[str]]:
    """Each secret once, and sentences about duplicates. LLMPROXY_KEY comes before LLMPROXY_KEYS, and both before the file."""
    first = {key.secret: key for key in reversed((*found, *written))}
    keys = (*written, *found)
    doubles = [
        f"the key {key.name} has the same secret as {first[key.secret].name}, and does not count"
        for key in keys
        if first[key.secret] is not key
    ]
    return tuple(key for key in keys if first[key.secret] is key), doubles


def _settings(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    tables = env.settings(environ)
    if not tables:
        return {}
    from .tables import fields  # imported late: a start without a file does not need it

    classes = {name: type(getattr(Config(), name)) for name in tables}
    try:
        return {
            name: fields(classes[name], {key: _given(key, value) for key, value in table.items()}, (name,))
            for name, table in tables.items()
        }
    except Wrong as error:
        variable = next(name for name, place in env.SETTINGS.items() if place == error.path[:2])
        raise ConfigError(f"environment variable {variable}: {error.problem}") from None


def _given(key: str, value: str) -> Any:
    """The value of a variable; entries of a list are separated by commas or whitespace."""
    from .tables import Substituted

    return [one for one in re.split(r"[,\s]+", value) if one] if key == "peers" else Substituted(value)


def _demos_last(providers: tuple[Provider, ...]) -> tuple[Provider, ...]:
    """The written order, but providers that need nothing come last: of two with the same model, the first is used."""
    return tuple(sorted(providers, key=lambda provider: not (provider.base_url or provider.api_key)))


def _placed(storage: Storage, environ: Mapping[str, str]) -> Storage:
    """With an absolute directory: the platform's data directory if none is configured."""
    named = os.path.expanduser(storage.dir or _data_dir(environ))
    try:
        return replace(storage, dir=os.path.abspath(named))
    except OSError as error:  # the working directory was deleted
        raise ConfigError(
            f"the folder for data is a relative one, and there is no working directory: {error.strerror}"
        ) from None


def _data_dir(environ: Mapping[str, str]) -> str:
    base = environ.get("XDG_DATA_HOME") or (environ.get("LOCALAPPDATA") if sys.platform == "win32" else None)
    if base:
        return os.path.join(base, "llmproxy")
    home = environ.get("HOME") or os.path.expanduser("~")
    if home.startswith("~"):  # a user without a home directory, as in containers
        return "/var/lib/llmproxy"
    return os.path.join(home, ".local", "share", "llmproxy")


def _is_open(server: Server) -> bool:
    return not server.keys and not is_loopback(server.host)


def refuse_open_door(server: Server) -> None:
    """Any address but loopback requires a key. Raises ConfigError."""
    if not _is_open(server):
        return
    where = server.host if address(server.host) else "that name" if server.host else "every address"
    raise ConfigError(
        f"refusing to listen on {where} without a key: whoever can reach it could spend your providers' money.\n"
        "Either listen on 127.0.0.1, or set LLMPROXY_KEY (or `keys` under [server]) to a secret of your choice,\n"
        "or make one with `llmproxy keys create NAME`."
    )


def _refuse_idle_patterns(config: Config) -> None:
    limited = [key for key in config.server.keys if key.models != ("*",)]
    if not limited:
        return
    from .matching import named_like  # imported late: most starts do not need it

    providers = {provider.name for provider in config.providers} | config.switched_off
    names = {*config.aliases, *(model for provider in config.providers for model in provider.models)}
    for key, pattern in ((one, pattern) for one in limited for pattern in one.models):
        if provider := named_like(pattern, providers, names):
            raise ConfigError(
                f'the models of the key {key.name}: an entry can match no name: write "{provider}/MODEL" or "{provider}/*"'
            )


def _refuse_host(host: str) -> None:
    """The value is not shown: if it is not a host name, it may be a secret."""
    if host and address(host) is None and not _NAME.fullmatch(host):
        raise ConfigError("server.host must be an address or a name to listen on, without scheme and port")


def _refuse_workers(server: Server) -> None:
    if server.workers > 1 and not hasattr(os, "fork"):
        raise ConfigError("server.workers: this system cannot fork processes (Windows): it must be 1")


def _refuse_loop(config: Config) -> None:
    """A provider at the gateway's own address would send every request back to the gateway."""
    server = config.server
    for provider in config.providers:
        if provider.base_url and is_own(provider.base_url, server.host, server.port):
            raise ConfigError(
                f"provider {provider.name}: {urlsplit(provider.base_url).netloc} is this gateway's own address, so that "
                "its requests would go round in circles. Variables such as OPENAI_BASE_URL are read as providers' addresses: "
                "set them for the clients only"
            )
