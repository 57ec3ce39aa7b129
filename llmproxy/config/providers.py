"""The `[providers.NAME]` tables: addresses, keys and options, completed from the environment."""

from __future__ import annotations

import pathlib
from typing import Any
from urllib.parse import urlsplit

from llmproxy.core import adapter_registry
from llmproxy.core.adapter import Environment

from .addresses import completed, problem_with
from .cleaned import cleaned, unsendable
from .environ import Environ, base_url_from, environment_of, first, is_local, options_from
from .errors import Path, Wrong, dotted, shown, suggestion
from .proxies import PROBLEM, is_proxy
from .tables import Table, expect_table, fields, listing, text
from .values import Provider

_FILLED = ("adapter", "base_url", "api_key", "ca_file", "proxy")  # each has a function of its own
_SPECIAL = ("name", "options", "source", "api_key_file", "enabled", *_FILLED)
_KNOWN = {*Provider.__dataclass_fields__, *_SPECIAL} - {"name", "source"}


def parse_provider(name: str, value: object, path: Path, environ: Environ, folder: pathlib.Path) -> Provider:
    """One table. `folder`: the directory for relative file paths."""
    table = expect_table(value, path)
    if not name or "/" in name:
        raise Wrong(
            path, "a provider's name is not empty and has no slash: it stands before the model's, provider/model"
        )
    adapter = _adapter(name, table, path)
    declared = environment_of(adapter)
    base_url = _base_url(name, table, path, declared, environ)
    options = {**options_from(declared, environ), **_options(table, path)}
    settings = {key: inner for key, inner in table.items() if key in _KNOWN and key not in _SPECIAL}
    return Provider(
        name=name,
        adapter=adapter,
        base_url=base_url,
        api_key=_written_key(table, path, folder) or _found_key(name, path, declared, base_url, environ),
        ca_file=_certificates(table, path, folder),
        proxy=_proxy(table, path),
        options=options,
        source=dotted(path),
        **fields(Provider, settings, path, aside=_SPECIAL),
    )


def is_enabled(value: object, path: Path) -> bool:
    enabled = expect_table(value, path).get("enabled", True)
    if not isinstance(enabled, bool):
        raise Wrong((*path, "enabled"), "is either true or false")
    return enabled


def _adapter(name: str, table: Table, path: Path) -> str:
    adapter = text(table.get("adapter", name), (*path, "adapter"))
    if adapter in adapter_registry.names():
        return adapter
    known = listing(adapter_registry.names())
    if "adapter" in table:
        near = suggestion(adapter, adapter_registry.names())
        raise Wrong((*path, "adapter"), f"{shown(adapter)} is not the name of an adapter{near}; installed are {known}")
    raise Wrong(path, f'needs `adapter`, one of {known} ("compatible" and a base_url suit most services)')


def _options(table: Table, path: Path) -> dict[str, Any]:
    """Keys that the core does not know are options of the adapter; a key that is similar to a known one is a typing error."""
    unknown = {key: inner for key, inner in table.items() if key not in _KNOWN}
    for key in unknown:
        if near := suggestion(key, _KNOWN, cutoff=0.8):
            raise Wrong((*path, key), f"there is no such setting{near}; options of an adapter go under `options`")
    return {**unknown, **expect_table(table.get("options", {}), (*path, "options"))}


def _base_url(name: str, table: Table, path: Path, declared: Environment, environ: Environ) -> str:
    if "base_url" not in table:
        found = first(environ, [variable(name, "BASE_URL")]) or base_url_from(declared, environ) or declared.base_url
        if not found and (declared.needs_key or declared.base_urls):
            raise Wrong(path, "needs `base_url`, the address of the service")
        return found
    url = completed(text(table["base_url"], (*path, "base_url")), declared.base_url)
    if problem := problem_with(url):
        raise Wrong((*path, "base_url"), problem)
    return url


def _written_key(table: Table, path: Path, folder: pathlib.Path) -> str:
    """The key in the table itself, or an empty one."""
    if "api_key" in table and "api_key_file" in table:
        raise Wrong((*path, "api_key_file"), "give either api_key or api_key_file, not both")
    if "api_key_file" in table:
        text(table["api_key_file"], (*path, "api_key_file"))
        return _read_key(folder, table["api_key_file"], (*path, "api_key_file"))
    return _sendable(text(table.get("api_key", ""), (*path, "api_key")).strip(), (*path, "api_key"))


def _sendable(key: str, path: Path) -> str:
    if problem := unsendable(key):
        raise Wrong(path, problem)
    return key


def _found_key(name: str, path: Path, declared: Environment, base_url: str, environ: Environ) -> str:
    # The adapter's own variable has a key for the adapter's own service: it is never sent to another address.
    at_home = _host(base_url) in (_host(declared.base_url), _host(base_url_from(declared, environ)))
    own = variable(name, "API_KEY")
    key = first(environ, [own, *(declared.keys if at_home else ())])
    if not key and declared.needs_key and not is_local(base_url):
        names = " or ".join(dict.fromkeys([*(declared.keys if at_home else ()), own]))
        raise Wrong(path, f"has no key: set {names} in the environment, or api_key here (or enabled = false)")
    return _sendable(key, path)


def _proxy(table: Table, path: Path) -> str | None:
    """None: use the environment. Empty: no proxy."""
    if "proxy" not in table:
        return None
    url = text(table["proxy"], (*path, "proxy")).strip()
    if url in ("", "none"):
        return ""
    if not is_proxy(url):  # not shown: it may contain a password
        raise Wrong((*path, "proxy"), f'{PROBLEM}; or "none"')
    return url


def _certificates(table: Table, path: Path, folder: pathlib.Path) -> str | None:
    """The file of trusted certificates. It is checked now, so that a problem does not appear only at the first request."""
    if "ca_file" not in table:
        return None
    import ssl  # takes tens of milliseconds, which most starts do not need

    name = text(table["ca_file"], (*path, "ca_file"))
    file = folder / pathlib.Path(name).expanduser()
    try:
        ssl.create_default_context(cafile=str(file))
    except ssl.SSLError:
        raise Wrong((*path, "ca_file"), "the file that is named here holds no certificates in PEM form") from None
    except OSError as error:
        raise Wrong((*path, "ca_file"), f"cannot read the file that is named here: {error.strerror}") from None
    return str(file)


def _host(url: str) -> str | None:
    return urlsplit(url).hostname if url else None


def variable(provider: str, suffix: str) -> str:
    """The environment variable for a provider's name: `my-groq` has MY_GROQ_API_KEY."""
    return "".join(char if char.isalnum() else "_" for char in provider).upper() + "_" + suffix


def _read_key(folder: pathlib.Path, name: str, path: Path) -> str:
    try:
        key = cleaned((folder / pathlib.Path(name).expanduser()).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a file of text"
        raise Wrong(path, f"cannot read the file that is named here: {reason}") from None
    if not key:
        raise Wrong(path, "the file that is named here is empty")
    return _sendable(key, path)
