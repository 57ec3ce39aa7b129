"""docs/configuration.md names every setting that there is, with its default, and none that there is not."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields

import pytest

from llmproxy.config import values
from llmproxy.config.environ import SETTINGS
from llmproxy.config.file import _TOP
from llmproxy.config.providers import _KNOWN
from llmproxy.core import adapter_registry
from tests.docs.markdown import ROOT, named, prose, rows, section

PAGE = ROOT / "docs" / "configuration.md"
PROVIDERS, GATEWAY, OPTIONS = (
    rows(section(PAGE, heading))
    for heading in ("Providers from the environment", "The gateway's own variables", "Options")
)
TABLES = {
    "[server]": values.Server,
    "[limits]": values.Limits,
    "[logs]": values.Logs,
    "[responses]": values.Responses,
    "[cache]": values.Cache,
    "[routing]": values.Routing,
    "[degraded]": values.Degraded,
    "[storage]": values.Storage,
    "[cluster]": values.Cluster,
    "[telemetry]": values.Telemetry,
    "[providers.NAME]": values.Provider,
}
KEYS = [pytest.param(heading, cls, id=heading.strip("[]")) for heading, cls in TABLES.items()]
CORE, ADAPTERS = (
    "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / folder).rglob("*.py"))
    for folder in ("llmproxy", "adapters")
)


def described(heading: str) -> dict[str, str]:
    """Key: what stands under `default`."""
    return {key: row[1] for row in rows(section(PAGE, heading)) for key in named(row[0])}


# The file


def test_every_table_of_the_file_has_a_section() -> None:
    headings = {line.strip("# []") for line in prose(PAGE).splitlines() if line.startswith("## [")}
    assert {heading.partition(".")[0] for heading in headings} | {"default_model"} == set(_TOP)


@pytest.mark.parametrize(("heading", "cls"), KEYS)
def test_every_key_is_described_and_no_other(heading: str, cls: type) -> None:
    known = _KNOWN if cls is values.Provider else {field.name for field in fields(cls)}
    assert set(described(heading)) == known


@pytest.mark.parametrize(("heading", "cls"), KEYS)
def test_defaults_are_those_of_the_code(heading: str, cls: type) -> None:
    """As far as they are plain values; the others are said in words."""
    real = {field.name: field.default for field in fields(cls) if isinstance(field.default, (str, int, float))}
    told = {key: default.strip("`") for key, default in described(heading).items() if re.match("`[^`[{]+`", default)}
    plain = {key: tomllib.loads(f"it = {text}")["it"] for key, text in told.items() if key in real}
    assert plain
    assert plain == {key: real[key] for key in plain}


@pytest.mark.parametrize(
    ("words", "cls"), [("`timeouts`, in seconds:", values.Timeouts), ("`breaker`: opens", values.Breaker)]
)
def test_tables_in_a_providers_table_are_described(words: str, cls: type) -> None:
    paragraph = next(one for one in prose(PAGE).split("\n\n") if one.startswith(words))
    assert set(named(paragraph)) - {words.split("`")[1]} == {field.name for field in fields(cls)}


def test_conditions_of_rules_are_described() -> None:
    conditions = {key for row in rows(section(PAGE, "[aliases]")) for key in named(row[0])}
    assert conditions == {field.name for field in fields(values.When)}


def test_modes_are_described() -> None:
    keys = {key for row in rows(section(PAGE, "[modes.NAME]")) for key in named(row[0])}
    assert keys == {field.name for field in fields(values.Mode)} - {"name"}


def test_client_keys_are_described() -> None:
    block = re.search(r"\[\[server\.keys\]\]\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    assert set(tomllib.loads(block[1])) == {field.name for field in fields(values.Key)} - {"formerly"}


# The environment


@pytest.mark.parametrize("row", PROVIDERS, ids=lambda row: named(row[0])[0])
def test_an_adapters_variables_are_those_it_declares(row: list[str]) -> None:
    declared = adapter_registry.load(named(row[0])[0]).environment
    assert named(row[1]) == list(declared.keys)
    assert named(row[2]) == list(declared.base_urls)
    assert row[1].startswith("(") == bool(declared.keys and not declared.needs_key)


def test_addresses_are_those_the_adapters_declare() -> None:
    told = {named(row[0])[0]: named(row[3]) for row in PROVIDERS}
    declared = {name: adapter_registry.load(name).environment for name in told}
    assert {name: url for name, url in told.items() if url} == {
        name: [one.base_url] for name, one in declared.items() if one.base_url and one.needs_key
    }


def test_every_adapter_that_comes_along_is_described() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {named(row[0])[0] for row in PROVIDERS} == set(project["project"]["entry-points"][adapter_registry.GROUP])


def test_options_that_have_variables_are_described_with_them() -> None:
    told = {
        (adapter, option): tuple(named(row[2]))
        for row in OPTIONS
        for adapter in named(row[0])
        for option in named(row[1])
    }
    declared = {
        (name, option): variables
        for name in {adapter for adapter, _ in told}
        for option, variables in adapter_registry.load(name).environment.options.items()
    }
    assert {key: variables for key, variables in told.items() if variables} == declared


def test_every_option_that_an_adapter_reads_is_described() -> None:
    told = {option for row in OPTIONS for option in named(row[1])}
    assert set(re.findall(r'(?<!stream_)options\.get\("(\w+)"', ADAPTERS)) <= told
    assert {option for option in told if f'"{option}"' not in ADAPTERS} == set()


def test_every_variable_of_the_gateways_own_is_described_and_no_other() -> None:
    told = {name for row in GATEWAY for name in named(row[0])}
    assert told == set(re.findall(r"(?:LLMPROXY|OTEL)_[A-Z_]+", CORE))


def test_a_variable_is_said_to_stand_for_the_key_it_sets() -> None:
    for names, meaning in ((named(row[0]), named(row[1])) for row in GATEWAY):
        for name, key in zip(names, meaning, strict=False):
            if name in SETTINGS:
                table, setting = SETTINGS[name]
                assert key in (setting, f"[{table}] {setting}")


def test_where_a_local_server_is_looked_for_is_told() -> None:
    local = [adapter_registry.load(name).environment.local for name in adapter_registry.names()]
    places = {place for one in local if one is not None for place in one.places}
    assert set(re.findall(r"127\.0\.0\.1:\d+", section(PAGE, "Providers from the environment"))) == places
