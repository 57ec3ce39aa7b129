"""No error of the configuration repeats a text, in whatever setting it stands: people write keys into the wrong place."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import get_type_hints

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from llmproxy.config import Config, ConfigError, Group, Key, Mode, Provider, load
from llmproxy.config.errors import shown
from llmproxy.config.values import Breaker, Timeouts
from llmproxy.routing.gateway import Gateway

# What is not a table of plain settings: the place of a table, and its class.
SPECIAL = {
    "[[server.keys]]\nsecret = 'long-enough-to-be-a-secret'\n": Key,
    "[groups.g]\n": Group,
    "[modes.m]\n": Mode,
    "[providers.p]\nbase_url = 'http://gpu/v1'\n": Provider,
    "[providers.p]\nadapter = 'compatible'\nbase_url = 'http://gpu/v1'\n": Provider,
    "[providers.p]\nadapter = 'compatible'\nbase_url = 'http://gpu/v1'\n[providers.p.timeouts]\n": Timeouts,
    "[providers.p]\nadapter = 'compatible'\nbase_url = 'http://gpu/v1'\n[providers.p.breaker]\n": Breaker,
}
MORE = [
    "default_model = S",
    "[aliases]\na = S",
    "[aliases]\na = [S]",
    "[aliases]\na = { weights = S }",
    "[aliases]\na = { chain = [S], more = S }",
    "[aliases]\na = { rules = [{ use = S, when = { keywords = S } }] }",
    "[modes.m]\nparameters = S",
    '[prices]\n"a/*" = S',
    '[prices]\n"a/*" = { input = S, output = 1 }',
    "[providers.p]\nadapter = 'gemini'\napi_key = 'k'\nmodels = [S]\n[providers.p.options]\nmodels = { m = S }",
    *(f"{table} = S" for table in get_type_hints(Config) if table not in ("source", "switched_off", "notes")),
]
# A word that is near to a right one: what is suggested is the right one.
WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_/.:@=,*!", min_size=6, max_size=40).map(
    lambda text: f"Zq{text}Zq"
)
KINDS = ["Zq-0123456789-Zq", "ftp://me:Zqhush@x", "https://x/?key=Zqhush", "Zqhush\u2013x", "http://Zqhush", "Zqhush/x"]


def plain() -> Iterator[tuple[str, str]]:
    """Each setting of the plain tables: its table and its name."""
    hints = get_type_hints(Config)
    for table, kind in hints.items():
        if dataclasses.is_dataclass(kind):
            yield from ((f"[{table}]\n", field.name) for field in dataclasses.fields(kind))
    for place, kind in SPECIAL.items():
        yield from ((place, field.name) for field in dataclasses.fields(kind))


PLACES = sorted({*(f"{place}{name} = {form}" for place, name in plain() for form in ("S", "[S]")), *MORE})


async def said(folder: pathlib.Path, text: str) -> str:
    file = folder / "llmproxy.toml"
    file.write_text(text, encoding="utf-8")
    try:
        await Gateway.build(load(file, {})).close()
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("place", PLACES)
async def test_a_text_in_the_wrong_place_is_not_repeated(tmp_path: pathlib.Path, place: str) -> None:
    for secret in KINDS:
        told = await said(tmp_path, place.replace("S", f"'{secret}'"))
        assert "zq" not in told.lower()


@given(place=st.sampled_from(PLACES), secret=WORDS)
@example(place="[budgets]\ntimezone = S", secret="Zqhush/hushZq")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
async def test_nor_is_any_other_text(tmp_path: pathlib.Path, place: str, secret: str) -> None:
    told = await said(tmp_path, place.replace("S", f"'{secret}'"))
    assert "zq" not in told.lower()


@given(st.text())
def test_no_text_is_shown_whatever_it_looks_like(text: str) -> None:
    assert shown(text) == "this value"


@pytest.mark.parametrize(
    ("value", "text"), [(3, "3"), (-1.5, "-1.5"), (10**9, "1e+09"), (True, "true"), (False, "false")]
)
def test_numbers_and_booleans_are_shown(value: object, text: str) -> None:
    assert shown(value) == text
