"""Values and rows in the same form as SQLite's: integers for booleans and sums, rows by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from psycopg import AsyncCursor, Connection, Cursor
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.types.string import StrDumperUnknown

NUL = "\ufffd"  # replacement for a character that text cannot contain here


class Row(tuple[Any, ...]):
    """Values by position and by name."""

    __slots__ = ()
    at: dict[str, int]

    def __getitem__(self, key: Any) -> Any:
        return tuple.__getitem__(self, self.at[key] if type(key) is str else key)

    def keys(self) -> Iterable[str]:
        return self.at.keys()


@lru_cache(256)
def _kind(names: tuple[str, ...]) -> type[Row]:
    return type("Row", (Row,), {"__slots__": (), "at": {name: place for place, name in enumerate(names)}})


def rows(cursor: Cursor[Any] | AsyncCursor[Any]) -> Callable[[Any], Row]:
    """A row factory."""
    return _kind(tuple([column.name for column in cursor.description or ()]))


class _Truth(Dumper):
    oid = 21  # int2

    def dump(self, obj: bool) -> bytes:
        return b"1" if obj else b"0"


class _Text(StrDumperUnknown):
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(obj.replace("\0", NUL) if "\0" in obj else obj)


class _Number(Loader):
    """Sums of BIGINT are NUMERIC, and become integers."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data)
        return int(text) if text.lstrip(b"-").isdigit() else float(text)


def adapt(connection: Connection[Any]) -> None:
    connection.adapters.register_dumper(bool, _Truth)
    connection.adapters.register_dumper(str, _Text)
    connection.adapters.register_loader("numeric", _Number)
