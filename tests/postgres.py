"""A PostgreSQL to test with: the one that LLMPROXY_TEST_POSTGRES names, one that answers on this machine, or one that is started.

Each process of the tests has a database of its own, which is emptied for each test and dropped at the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

HERE = "postgresql://postgres@127.0.0.1:5432/postgres"
_EMPTY = """
DELETE FROM threads; DELETE FROM ledger; DELETE FROM attempts; DELETE FROM adoptions; DELETE FROM accounts;
DELETE FROM rollups; DELETE FROM progress; DELETE FROM token_ratios;
UPDATE account_changes SET number = 0; DELETE FROM spend; DELETE FROM leases; DELETE FROM replicas;
"""


_NUMBERS = count()  # a process may have several


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server on which databases can be made. Skips where there is none."""
    pytest.importorskip("psycopg", reason="PostgreSQL is not tested: the package psycopg is not installed")
    if named := os.environ.get("LLMPROXY_TEST_POSTGRES"):
        yield named
    elif _answers(HERE):
        yield HERE
    else:
        with started() as url:
            yield url


@contextmanager
def database(url: str, suffix: str = "") -> Iterator[str]:
    """The URL of a new database on a server, which is dropped at the end."""
    name = f"llmproxy_test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}_{next(_NUMBERS)}{suffix}"
    execute(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        execute(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def execute(url: str, *statements: str) -> list[Any]:
    """Gives the rows of the last statement."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@contextmanager
def connected(url: str) -> Iterator[Any]:
    """Somebody else, whose transaction begins with the first statement."""
    import psycopg

    with psycopg.connect(url) as connection:
        yield connection


async def waits(url: str) -> bool:
    """Whether somebody waits for a lock in this database."""
    query = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(execute(url, query))


def emptied(url: str) -> str:
    """The database without a row; its schema made by the store."""
    from llmproxy.store.postgres.engine import Postgres

    Postgres(url).connect().close()
    execute(url, *_EMPTY.split(";")[:-1])
    return url


def _answers(url: str) -> bool:
    import psycopg

    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def programs() -> Path | None:
    """The folder of an installed PostgreSQL's programs."""
    found = shutil.which("pg_ctl")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((one for one in folders if (one / "initdb").exists() and (one / "pg_ctl").exists()), None)


@contextmanager
def started() -> Iterator[str]:
    """A server of our own in a temporary folder. Skips where none is installed or allowed."""
    there = programs()
    if there is None:
        pytest.skip("PostgreSQL is not tested: LLMPROXY_TEST_POSTGRES names none, none answers, none is installed")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        pytest.skip("PostgreSQL is not tested: it does not start as root; name one by LLMPROXY_TEST_POSTGRES")
    with tempfile.TemporaryDirectory(prefix="llmproxy-postgres-", dir="/tmp") as folder:
        data = Path(folder) / "data"
        _run(there / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N")
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        _run(there / "pg_ctl", "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            _run(there / "pg_ctl", "-D", data, "-m", "immediate", "stop")


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
