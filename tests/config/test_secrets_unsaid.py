"""Whatever stands in the wrong place, no error repeats a value that may be a secret."""

from __future__ import annotations

import pathlib
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from llmproxy.config import ConfigError, load
from llmproxy.config.environ import SETTINGS
from llmproxy.core import adapter_registry
from llmproxy.routing.gateway import Gateway

HUSH = "hush-hush-0123456789"
EVERYTHING = """
default_model = "S"
[server]
host = "S"
port = "S"
keys = ["S"]
allowed_hosts = ["S"]
allowed_origins = ["S"]
trusted_proxies = ["S"]
max_body = "S"
loop = "S"
page = "S"
[limits]
deadline = "S"
on_disconnect = "S"
[logs]
level = "S"
[storage]
enabled = "S"
ledger_days = "S"
[providers.p]
adapter = "S"
base_url = "S"
api_key = "S"
api_key_file = "S"
proxy = "S"
ca_file = "S"
retries = "S"
verify_tls = "S"
models = "S"
headers = "S"
timeouts = "S"
options = "S"
[aliases]
a = { weights = "S" }
b = { rules = "S" }
c = { chain = ["S"], other = "S" }
[modes.m]
parameters = "S"
"""
VARIABLES = [
    *SETTINGS,
    *("LLMPROXY_KEY", "HTTP_PROXY", "ALL_PROXY"),
    *sorted(
        {
            name
            for adapter in adapter_registry.names()
            for declared in [adapter_registry.load(adapter).environment]
            for name in (*declared.keys, *declared.base_urls)
        }
    ),
]


def places() -> Iterator[tuple[str, str]]:
    """Each key of the file: its table, and its text."""
    for table, inner in tomllib.loads(EVERYTHING).items():
        tables = inner if isinstance(inner, dict) else {}
        if table in ("providers", "modes"):
            for name, one in tables.items():
                yield from ((f"[{table}.{name}]", f"{key} = {literal(value)}") for key, value in one.items())
        elif tables:
            yield from ((f"[{table}]", f"{key} = {literal(value)}") for key, value in tables.items())
        else:
            yield "", f"{table} = {literal(inner)}"


def literal(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {literal(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    return '"${S}"'


@pytest.mark.parametrize(("table", "text"), list(places()), ids=lambda one: one.partition(" =")[0])
async def test_a_secret_in_the_wrong_place_of_the_file_is_not_said(
    tmp_path: pathlib.Path, table: str, text: str
) -> None:
    file = tmp_path / "llmproxy.toml"
    more = "" if "adapter" in text or table != "[providers.p]" else '\nadapter = "compatible"'
    more += '\nbase_url = "http://gpu/v1"' if table == "[providers.p]" and "base_url" not in text else ""
    file.write_text(f"{table}\n{text}{more}\n", encoding="utf-8")
    for secret in (HUSH, f"ftp://me:{HUSH}@x", f"{HUSH}\u2013x", f"https://x/?key={HUSH}"):
        await said_without(file, {"S": secret})


@pytest.mark.parametrize("name", VARIABLES)
async def test_nor_is_one_in_the_wrong_variable(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for secret in (HUSH, f"ftp://me:{HUSH}@x", f"{HUSH}\nx", f"http://me:{HUSH}@x"):
        await said_without(None, {name: secret})


async def said_without(file: pathlib.Path | None, environ: dict[str, str]) -> None:
    said = ""
    try:
        await Gateway.build(load(file, environ)).close()
    except ConfigError as error:
        said = str(error)
    assert "hush" not in said
