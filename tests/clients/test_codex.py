"""OpenAI's Codex CLI, headless, with a chat provider behind the gateway: it runs commands, edits files, and is stopped."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from llmproxy.testing import Behaviour, Exchange, FakeProvider, chunk, sse
from tests.clients.environments import CODEX
from tests.clients.house import KEY, PATIENCE, elsewhere
from tests.gateway import Gateway, running_gateway
from tests.waiting import until

pytestmark = [
    pytest.mark.skipif(not CODEX.ready, reason="the environment 'codex' is not made: `make test-clients` makes it"),
    pytest.mark.timeout(180),
]

UNKNOWN, PATCHES, CODE_MODE = "somebody-elses-model", "gpt-5.5", "gpt-5.6-sol"  # as far as Codex knows them
CONFIG = """
[[server.keys]]
name = "client"
secret = "{key}"
[limits]
retries = 0
[providers.up]
adapter = "compatible"
base_url = "{url}/v1"
models = ["{models}"]
list_models = false
breaker = {{ failures = 100000, samples = 100000 }}
"""
SETTINGS = """
model_provider = "llmproxy"
[model_providers.llmproxy]
name = "llmproxy"
base_url = "{base_url}"
env_key = "LLMPROXY_KEY"
wire_api = "responses"
"""
_STREAM = {"content-type": "text/event-stream"}
_USAGE = {"prompt_tokens": 50, "completion_tokens": 20, "total_tokens": 70}


def says(*deltas: Any, finish: str = "stop") -> Behaviour:
    frames = [sse(chunk(delta), done=False) for delta in deltas]
    return Behaviour([*frames, sse(chunk({}, finish=finish), chunk(None, usage=_USAGE))], headers=_STREAM)


def calls(*named: tuple[str, Any]) -> Behaviour:
    """A turn that is calls of these tools, after a thought."""
    made = [
        {"index": at, "id": f"call_{at}", "type": "function", "function": {"name": name, "arguments": orjson.dumps(said).decode()}}
        for at, (name, said) in enumerate(named)
    ]  # fmt: skip
    return says({"reasoning_content": "A tool will tell."}, {"tool_calls": made}, finish="tool_calls")


def results(exchange: Exchange) -> list[str]:
    return [one["content"] for one in exchange.json["messages"] if one["role"] == "tool"]


@dataclass
class Desk:
    """A gateway, its provider's script, and a folder to work in."""

    gateway: Gateway
    provider: FakeProvider
    folder: Path
    _call: Callable[..., Any]

    def script(self, *behaviours: Behaviour) -> None:
        self._call(self.provider.forget)
        self._call(self.provider.does, *behaviours)

    @contextmanager
    def codex(self, question: str, *options: str, model: str = UNKNOWN) -> Iterator[subprocess.Popen[str]]:
        home = self.folder / "home" / ".codex"
        home.mkdir(parents=True, exist_ok=True)
        (home / "config.toml").write_text(SETTINGS.format(base_url=self.gateway.base_url))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home.parent),
            "CODEX_HOME": str(home),
            "LLMPROXY_KEY": KEY,
        }
        command = [*CODEX.command, "exec", "--skip-git-repo-check", "--sandbox", "danger-full-access", "--model", model]
        with subprocess.Popen(
            [*command, *options, question], cwd=self.folder, env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.kill()

    def run(self, question: str, *options: str, model: str = UNKNOWN) -> tuple[int, str]:
        """Exit code and everything it said."""
        with self.codex(question, *options, model=model) as process:
            said, _ = process.communicate(timeout=120)
            return process.returncode, said

    def events(self) -> list[Any]:
        return self.gateway.events("request")


@pytest.fixture(scope="module")
def gateway() -> Iterator[tuple[Gateway, FakeProvider, Callable[..., Any]]]:
    provider = FakeProvider()
    with elsewhere(provider) as loop:

        def call(function: Callable[..., Any], *given: Any) -> Any:
            async def inside() -> Any:
                return function(*given)

            return asyncio.run_coroutine_threadsafe(inside(), loop).result()

        models = '", "'.join((UNKNOWN, PATCHES, CODE_MODE))
        with running_gateway(CONFIG.format(key=KEY, url=provider.url, models=models)) as made:
            yield made, provider, call


@pytest.fixture
def desk(gateway: tuple[Gateway, FakeProvider, Callable[..., Any]], tmp_path: Path) -> Desk:
    made, provider, call = gateway
    return Desk(made, provider, tmp_path, call)


@pytest.mark.parametrize("model", [UNKNOWN, PATCHES, CODE_MODE])
def test_says_what_the_model_says(desk: Desk, model: str) -> None:
    desk.script(says({"reasoning_content": "They greet."}, {"content": "Good "}, {"content": "day."}))
    code, said = desk.run("Say hello", model=model)
    assert (code, said.count("Good day.") > 0) == (0, True), said
    assert "They greet." in said
    assert len(desk.provider.exchanges) == 1


def test_runs_two_commands_of_one_turn(desk: Desk) -> None:
    commands = [("exec_command", {"cmd": f"echo {word}-from-the-shell"}) for word in ("one", "two")]
    desk.script(calls(*commands), says({"content": "Both ran."}))
    code, said = desk.run("Run both")
    assert (code, "Both ran." in said) == (0, True), said
    told = results(desk.provider.exchanges[-1])
    assert [f"{word}-from-the-shell" in result for word, result in zip(("one", "two"), told, strict=True)] == [
        True,
        True,
    ]


def test_a_thought_comes_back_with_its_call(desk: Desk) -> None:
    desk.script(calls(("exec_command", {"cmd": "true"})), says({"content": "Done."}))
    desk.run("Run it")
    (turn,) = [one for one in desk.provider.exchanges[-1].json["messages"] if one.get("tool_calls")]
    assert turn["reasoning_content"] == "A tool will tell."


def test_runs_code_through_a_custom_tool_in_a_namespace(desk: Desk) -> None:
    code = "const r = await tools.exec_command({cmd: 'echo out-of-code'}); text(r.output)"
    desk.script(calls(("functions__exec", {"input": code})), says({"content": "It ran."}))
    status, said = desk.run("Run it", model=CODE_MODE)
    assert (status, "It ran." in said) == (0, True), said
    assert "out-of-code" in results(desk.provider.exchanges[-1])[0]


def test_edits_a_file_by_a_patch(desk: Desk) -> None:
    (desk.folder / "poem.txt").write_text("Roses are blue.\n")
    patch = "*** Begin Patch\n*** Update File: poem.txt\n@@\n-Roses are blue.\n+Roses are red.\n*** End Patch\n"
    desk.script(calls(("apply_patch", {"input": patch})), says({"content": "Mended."}))
    code, said = desk.run("Mend the poem", model=PATCHES)
    assert (code, "Mended." in said) == (0, True), said
    assert (desk.folder / "poem.txt").read_text() == "Roses are red.\n"


def test_waits_as_long_as_the_provider_says(desk: Desk) -> None:
    error = orjson.dumps({"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}})
    refused = Behaviour([error], 429, {"content-type": "application/json", "retry-after": "25"}, framing="length")
    desk.script(refused, says({"content": "At last."}))
    began = time.monotonic()
    code, said = desk.run("Say hello")
    assert (code, "At last." in said) == (0, True), said
    assert time.monotonic() - began > 20


def test_a_cut_stream_is_never_taken_as_an_answer(desk: Desk) -> None:
    cut = Behaviour([sse(chunk({"content": "Half of"}), done=False)], headers=_STREAM)
    desk.script(*[cut] * 20)
    code, said = desk.run("Say hello")
    assert code != 0, said
    assert "before it was complete" in said
    assert len(desk.provider.exchanges) == 6  # it tries five times more, and then says so


def test_a_full_context_ends_at_once(desk: Desk) -> None:
    error = {"message": "This model's maximum context length is 10 tokens.", "code": "context_length_exceeded"}
    desk.script(Behaviour([sse(chunk({"content": "Well"}), {"error": error})], headers=_STREAM))
    code, said = desk.run("Say hello")
    assert (code, "context window" in said) == (1, True), said
    assert len(desk.provider.exchanges) == 1


def test_an_unknown_model_is_said_at_once(desk: Desk) -> None:
    desk.script()
    code, said = desk.run("Say hello", model="nobody-has-it")
    assert (code, "nobody-has-it" in said) == (1, True), said
    assert desk.provider.exchanges == []


def test_talks_http_at_once_where_it_would_have_a_websocket(desk: Desk) -> None:
    """As it does where it believes that it talks to OpenAI itself."""
    desk.script(says({"content": "Good day."}))
    began = time.monotonic()
    code, said = desk.run("Say hello", "-c", "model_providers.llmproxy.supports_websockets=true")
    assert (code, "Good day." in said) == (0, True), said
    assert "Reconnecting" not in said
    assert time.monotonic() - began < 6


def test_ctrl_c_closes_the_providers_connection(desk: Desk) -> None:
    desk.script(Behaviour([sse(chunk({"content": "Once upon"}), done=False)], headers=_STREAM, ending="hang"))
    with desk.codex("Tell a story") as process:
        exchange = until(lambda: next((one for one in desk.provider.exchanges if one.sent.is_set()), None))
        process.send_signal(signal.SIGINT)
        until(lambda: exchange.closed_at)
        process.wait(PATIENCE)
    ended = until(lambda: next((one for one in desk.events() if one.get("outcome") == "cancelled"), None))
    assert ended["by"] == "client_disconnect"


def test_every_answer_that_was_whole_counts_as_such(desk: Desk) -> None:
    """It may hang up as soon as the last event is there."""
    desk.script(says({"content": "Good day."}))
    before = len(desk.events())
    desk.run("Say hello")
    (ended,) = until(lambda: desk.events()[before:])
    assert (ended["outcome"], ended["face"]) == ("ok", "responses")
    assert re.search(r"web_search", ",".join(ended["dropped"]))
