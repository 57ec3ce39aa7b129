"""Parses `[storage] url`, and checks whether that database can be used here."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from urllib.parse import unquote

from .errors import ConfigError
from .values import Storage

_FILE = "llmproxy.db"
_POSTGRES = ("postgresql://", "postgres://")
_INSTALL = "PostgreSQL as a store needs an extra: pip install 'llmproxy-gateway[postgres]'"


def by_url(storage: Storage) -> Storage:
    """A URL has priority over `dir`: sqlite:///PATH becomes the directory. Raises ConfigError; its message never contains
    the URL.
    """
    if not storage.url:
        return storage
    if not storage.enabled:
        raise ConfigError("[storage] enabled = false keeps nothing: it goes with no url")
    if storage.url.startswith(_POSTGRES):
        if find_spec("psycopg") is None:
            raise ConfigError(_INSTALL)
        return storage
    scheme, _, path = storage.url.partition("://")
    if scheme != "sqlite" or not path:
        raise ConfigError(
            "[storage] url begins with postgresql:// or is sqlite:// with a path, such as sqlite:///var/lib/llmproxy"
        )
    return replace(storage, url="", dir=_folder(unquote(path)))


def _folder(path: str) -> str:
    """The directory of the database. The file in it always has the same name."""
    path = path.removesuffix(f"/{_FILE}") or "/"
    return f"/{path.lstrip('/')}" if path.startswith("//") else path
