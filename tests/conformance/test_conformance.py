"""Every check of the conformance tool on this gateway itself, as a real process."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from llmproxy.cli import main
from llmproxy.testing.conformance import CHECKS, Result, run, table
from llmproxy.testing.conformance.events import reframed
from tests.gateway import free_port, running_gateway
from tests.thorough import each

CONFIG = """
[providers.openai]
base_url = "http://127.0.0.1:{port}/v1"
api_key = "nobody's"

[providers.openai.breaker]
failures = 100000
samples = 100000
"""
pytestmark = pytest.mark.timeout(900)  # hundreds of checks are one fixture, and some of them wait for seconds
NAMES = [f"{check.group}: {check.name}" for check in CHECKS]


@pytest.fixture(scope="session")
def results() -> dict[str, Result]:
    port = free_port()
    with running_gateway(CONFIG.format(port=port)) as gateway:
        found = asyncio.run(run(gateway.url, port, "openai/fake-model"))
    return {f"{one.group}: {one.name}": one for one in found}


@each("name", NAMES)
def test_the_gateway_conforms(results: dict[str, Result], name: str) -> None:
    assert results[name].passed, results[name].seen


async def test_the_checks_stop_where_the_gateway_does_not_call_the_provider() -> None:
    port = free_port()
    (only,) = await run(f"http://127.0.0.1:{free_port()}", port, "openai/fake-model")
    assert not only.passed
    assert f"OPENAI_BASE_URL=http://127.0.0.1:{port}/v1" in only.seen


CLAUDE = """
[providers.anthropic]
base_url = "http://127.0.0.1:{port}"
api_key = "nobody's"

[providers.anthropic.breaker]
failures = 100000
samples = 100000
"""
GOOGLE = """
[providers.gemini]
base_url = "http://127.0.0.1:{port}/v1beta"
api_key = "nobody's"

[providers.gemini.breaker]
failures = 100000
samples = 100000
"""
OTHERS = {  # the API that the client speaks, the one that the provider has, and what leads there
    "Messages of a provider that has them": ("messages", "messages", CLAUDE, "anthropic/claude-sonnet-4-6"),
    "Responses of a provider that has only Messages": ("responses", "messages", CLAUDE, "anthropic/claude-sonnet-4-6"),
    "Responses of a provider that has only chat": ("responses", "chat", CONFIG, "openai/fake-model"),
    "Gemini's API of a provider that has it": ("gemini", "gemini", GOOGLE, "gemini/gemini-3.5-flash"),
    "Gemini's API of a provider that has only chat": ("gemini", "chat", CONFIG, "openai/fake-model"),
    "Gemini's API of a provider that has only Messages": ("gemini", "messages", CLAUDE, "anthropic/claude-sonnet-4-6"),
    "Messages of a provider that has only chat": ("messages", "chat", CONFIG, "openai/fake-model"),
}


PLAIN = ("Messages of a provider that has only chat", "Responses of a provider that has only Messages")  # in every run


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in PLAIN else pytest.mark.thorough) for name in OTHERS]
)
def test_the_gateway_conforms_whatever_its_provider_speaks(name: str) -> None:
    api, provider_api, config, model = OTHERS[name]
    port = free_port()
    with running_gateway(config.format(port=port)) as gateway:
        found = asyncio.run(run(gateway.url, port, model, apis=[api], provider_apis=[provider_api]))
    assert len(found) >= 40
    assert {one.name: one.seen for one in found if not one.passed} == {}


def test_names_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)


def test_the_table_is_markdown() -> None:
    rows = table([Result("a", "b|c", True, "x\ny")]).splitlines()
    assert rows[0].startswith("| check")
    assert rows[2] == "| a: b\\|c | pass | x y |"


LOCKED = '[server]\nkeys = ["a key"]\n' + CONFIG
ONE = ["--only", "errors: a 400 keeps all it says", "--json"]


@pytest.mark.parametrize("admission", [["--key", "a key"], ["--header", "Authorization: Bearer a key"]])
def test_the_command_takes_the_tools_options(capsys: pytest.CaptureFixture[str], admission: list[str]) -> None:
    port = free_port()
    with running_gateway(LOCKED.format(port=port)) as gateway:
        given = ["--upstream-port", str(port), "--model", "openai/any-model", *admission, *ONE]
        code = main(["conformance", gateway.url, *given])
    results = orjson.loads(capsys.readouterr().out)
    assert [(one["name"], one["passed"]) for one in results] == [("a 400 keeps all it says", True)]
    assert code == 0


def test_an_error_passes_for_nothing_if_the_provider_was_not_asked() -> None:
    with running_gateway() as gateway:
        (one,) = asyncio.run(run(gateway.url, free_port(), "nobody/none", only="disguised: an empty stream"))
    assert not one.passed
    assert one.seen.startswith("the provider was not asked")


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data: a\r\n\r\ndata:b\r\r", b"data: a\n\ndata: b\n\n"),
        (b"\xef\xbb\xbfdata: a\n\n", b"data: a\n\n"),
        (b"event: x\nid: 1\ndata: a\ndata: b\n\n", b"data: a b\n\n"),
        (b": ping\n\nretry: 1\n\ndata\n\ndata:\n\n", b""),
        (b"data: a\n\ndata: cut", b"data: a\n\n"),
        (b"data: a\n\ndata: unended\n", b"data: a\n\n"),
    ],
)
def test_events_are_read_by_the_standard(body: bytes, events: bytes) -> None:
    assert reframed(body) == events
