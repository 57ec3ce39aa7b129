"""Reads llmproxy.toml: its tables, and the line of each error."""

from __future__ import annotations

import pathlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .aliases import parse_aliases
from .cleaned import cleaned, unsendable
from .errors import ConfigError, Path, Wrong, dotted, shown, suggestion
from .key_names import OPERATOR, derived
from .lines import line_of
from .matching import check_hosts, check_networks, check_origins, check_patterns
from .prices import parse_prices
from .providers import is_enabled, parse_provider
from .quotas import parse_budgets, parse_groups, parse_key
from .storage_url import by_url
from .tables import Table, expect_table, fields, listing, parse, substitute, text
from .telemetry import parse_telemetry
from .values import (
    Cache,
    Cluster,
    Config,
    Degraded,
    Dialects,
    Group,
    Key,
    Limits,
    Logs,
    Mode,
    Provider,
    Responses,
    Routing,
    Server,
    Storage,
)

_TOP = (
    "server",
    "limits",
    "routing",
    "degraded",
    "cache",
    "logs",
    "dialects",
    "storage",
    "cluster",
    "providers",
    "aliases",
    "modes",
    "groups",
    "budgets",
    "prices",
    "responses",
    "telemetry",
    "default_model",
)


def read(path: pathlib.Path, environ: Mapping[str, str]) -> Config:
    """The values in the file, and nothing else. Raises ConfigError."""
    source = _source(path)
    try:
        return _parse(_toml(source, path), environ, path)
    except Wrong as error:
        place = f"{path}:{line_of(source, error.path)}: "
        raise ConfigError(place + f"{dotted(error.path)}: {error.problem}") from None


def _source(path: pathlib.Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _toml(source: str, path: pathlib.Path) -> Table:
    try:
        return tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        problem, _, where = str(error).partition(" (at ")
        line = re.match(r"line (\d+)", where)
        place = line[1] if line else str(source.count("\n") + 1)
        raise ConfigError(f"{path}:{place}: is not valid TOML: {problem[:1].lower()}{problem[1:]}") from None


def _parse(document: Table, environ: Mapping[str, str], path: pathlib.Path) -> Config:
    for key in document:
        if key not in _TOP:
            raise Wrong((key,), f"there is no such setting{suggestion(key, _TOP)}; known are {listing(_TOP)}")
    tables = expect_table(document.get("providers", {}), ("providers",))
    wanted = {name: table for name, table in tables.items() if is_enabled(table, ("providers", name))}
    document = substitute({**document, "providers": wanted}, environ)
    providers = _providers(document["providers"], environ, path.parent)
    groups = parse_groups(document.get("groups", {}))
    return Config(
        server=_server(document.get("server", {}), groups),
        limits=parse(Limits, document.get("limits", {}), ("limits",)),
        cache=parse(Cache, document.get("cache", {}), ("cache",)),
        degraded=parse(Degraded, document.get("degraded", {}), ("degraded",)),
        routing=parse(Routing, document.get("routing", {}), ("routing",)),
        logs=parse(Logs, document.get("logs", {}), ("logs",)),
        responses=parse(Responses, document.get("responses", {}), ("responses",)),
        dialects=parse(Dialects, document.get("dialects", {}), ("dialects",)),
        storage=_storage(document.get("storage", {}), path.parent),
        cluster=_cluster(document.get("cluster", {}), path.parent),
        providers=tuple(providers.values()),
        aliases=parse_aliases(document.get("aliases", {}), providers),
        modes=_modes(document.get("modes", {})),
        groups=groups,
        budgets=parse_budgets(document.get("budgets", {})),
        prices=parse_prices(document.get("prices", {})),
        telemetry=parse_telemetry(document.get("telemetry", {})),
        default_model=text(document.get("default_model", ""), ("default_model",)),
        source=str(path),
        switched_off=frozenset(tables.keys() - wanted.keys()),
    )


def _providers(tables: Table, environ: Mapping[str, str], folder: pathlib.Path) -> dict[str, Provider]:
    return {name: parse_provider(name, table, ("providers", name), environ, folder) for name, table in tables.items()}


def _storage(value: object, folder: pathlib.Path) -> Storage:
    """The table; a relative directory is resolved beside the file."""
    storage = by_url(parse(Storage, value, ("storage",)))
    return replace(storage, dir=str(folder / pathlib.Path(storage.dir).expanduser())) if storage.dir else storage


def _cluster(value: object, folder: pathlib.Path) -> Cluster:
    cluster = parse(Cluster, value, ("cluster",))
    names = ("ca_file", "cert_file", "key_file")
    files: dict[str, Any] = {
        name: str(folder / pathlib.Path(file).expanduser()) for name in names if (file := getattr(cluster, name))
    }
    return replace(cluster, **files)


def _server(value: object, groups: Mapping[str, Group]) -> Server:
    table = expect_table(value, ("server",))
    others = {key: inner for key, inner in table.items() if key != "keys"}
    server = Server(keys=_keys(table.get("keys", [])), **fields(Server, others, ("server",)))
    for index, key in enumerate(server.keys):
        if key.group and key.group not in groups:
            raise Wrong(
                ("server", "keys", index, "group"),
                f"{shown(key.group)} is not the name of a table [groups.NAME]{suggestion(key.group, groups)}",
            )
    check_hosts(table.get("allowed_hosts", ()), ("server", "allowed_hosts"))  # as written, or from a variable
    check_origins(table.get("allowed_origins", ()), ("server", "allowed_origins"))
    check_networks(server.trusted_proxies, ("server", "trusted_proxies"))
    return server


def _keys(value: Any) -> tuple[Key, ...]:
    path: Path = ("server", "keys")
    if not isinstance(value, list):
        raise Wrong(path, 'expected a list of keys: ["${NAME}"], or tables with name, secret, admin, models')
    keys = tuple(_key(one, index, (*path, index)) for index, one in enumerate(value))
    names: set[str] = set()
    secrets: set[str] = set()
    for index, key in enumerate(keys):
        if key.secret in secrets or key.name in names:
            raise Wrong((*path, index), "has the name or the secret of an earlier key")
        secrets.add(key.secret)
        names.add(key.name)
    return keys


def _key(value: Any, index: int, path: Path) -> Key:
    table = {"secret": value} if isinstance(value, str) else expect_table(value, path)
    if "secret" not in table:
        raise Wrong(path, "needs `secret`")
    key = parse_key({"name": "", **table}, path)
    check_patterns(key.models, (*path, "models"))
    key = replace(key, secret=cleaned(key.secret))
    if not key.secret:
        raise Wrong(path, "the secret is empty")
    if not key.secret.isprintable():
        raise Wrong(path, unsendable(key.secret))
    if key.name == OPERATOR:
        raise Wrong((*path, "name"), f'"{OPERATOR}" is the name of the key in LLMPROXY_KEY')
    return key if key.name else replace(key, name=derived(key.secret), formerly=f"key-{index + 1}")


def _modes(value: object) -> dict[str, Mode]:
    tables = expect_table(value, ("modes",))
    return {name: _mode(name, table, ("modes", name)) for name, table in tables.items()}


def _mode(name: str, value: object, path: Path) -> Mode:
    table = expect_table(value, path)
    parameters = expect_table(table.get("parameters", {}), (*path, "parameters"))
    given = fields(Mode, {key: inner for key, inner in table.items() if key != "parameters"}, path, aside=("name",))
    return Mode(name=name, parameters=dict(parameters), **given)
