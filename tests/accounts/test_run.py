"""`llmproxy run`: a command that cannot outspend, and never sees a provider's key."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from llmproxy.testing import FakeProvider
from tests import forks
from tests.accounts.house import answer, usage
from tests.accounts.test_budgets import TOKEN, dollars, streamed

CANARY = "sk-canary-0123456789abcdef"
AGENT = """
import json, os, sys, urllib.error, urllib.request
said = []
for _ in range(int(sys.argv[1])):
    body = json.dumps({"model": "openai/m", "messages": [{"role": "user", "content": "again"}]}).encode()
    ask = urllib.request.Request(os.environ["OPENAI_BASE_URL"] + "/chat/completions", body, {
        "Content-Type": "application/json", "Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]})
    try:
        said.append(urllib.request.urlopen(ask).status)
    except urllib.error.HTTPError as error:
        said.append(error.code)
print(json.dumps(said))
"""
Run = Callable[..., Any]


@asynccontextmanager
async def running(folder: Path, provider: FakeProvider, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "llmproxy", *words(folder, arguments), env=environment(folder, provider),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def words(folder: Path, arguments: Sequence[str]) -> list[str]:
    config = folder / "llmproxy.toml"
    config.write_text('[prices]\n"openai/*" = { input = 1, output = 2 }\n')
    return ["run", "--config", str(config), *arguments]


def environment(folder: Path, provider: FakeProvider) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "HOME": str(folder), "LLMPROXY_DATA_DIR": str(folder / "data"),
        "OPENAI_API_KEY": CANARY, "OPENAI_BASE_URL": f"{provider.url}/v1", "MY_COPY": f"x{CANARY}y",
        "ANTHROPIC_API_KEY": CANARY, "GEMINI_API_KEY": CANARY, "LLMPROXY_KEYS": "some-client-key",
    }  # fmt: skip


async def ran(folder: Path, provider: FakeProvider, *arguments: str) -> tuple[int, str, str]:
    """(exit code, standard output, standard error)."""
    given, environ = words(folder, arguments), environment(folder, provider)
    done = await asyncio.to_thread(forks.run, *given, cwd=folder, env=environ, timeout=30)
    return done.returncode, done.stdout, done.stderr


async def test_a_command_is_answered_and_gets_a_receipt(tmp_path: Path) -> None:
    async with FakeProvider() as provider:
        for _ in range(2):
            provider.answers(answer(usage=usage(100, 50)))
        code, out, err = await ran(tmp_path, provider, "--", sys.executable, "-c", AGENT, "2")
    assert (code, out.strip()) == (0, "[200, 200]"), err
    assert "2 requests, 200 tokens in, 100 out, $0.000400" in err
    assert "models: openai/m" in err


async def test_a_looping_agent_is_stopped_within_a_slice_of_its_budget(tmp_path: Path) -> None:
    served = 0

    def route(_: Any) -> Any:
        nonlocal served
        served += 300
        return streamed(300)

    async with FakeProvider(route=route) as provider:
        budget = dollars(1000)
        code, out, err = await ran(tmp_path, provider, "--budget", budget, "--", sys.executable, "-c", AGENT, "12")
    assert code == 0, err
    assert out.count("200") >= 2
    assert out.strip().endswith("429]")
    assert "by budget" in err
    spent = float(err.partition("$")[2].split()[0])
    assert spent <= (1000 + 256) * TOKEN / 10**12
    assert served <= 1800


async def test_the_number_of_requests_is_limited(tmp_path: Path) -> None:
    async with FakeProvider(route=lambda _: streamed(4)) as provider:
        _, out, err = await ran(tmp_path, provider, "--max-requests", "2", "--", sys.executable, "-c", AGENT, "4")
        assert len(provider.exchanges) == 2
    assert out.strip() == "[200, 200, 429, 429]", err


async def test_the_command_sees_no_key_of_a_provider(tmp_path: Path) -> None:
    async with FakeProvider() as provider:
        code, out, err = await ran(
            tmp_path, provider, "--", sys.executable, "-c", "print(open('/proc/self/environ').read())"
        )
    assert code == 0, err
    assert CANARY not in out
    assert "some-client-key" not in out
    seen = dict(one.split("=", 1) for one in out.strip().split("\0") if "=" in one)
    assert seen["OPENAI_BASE_URL"].startswith("http://127.0.0.1:")
    assert seen["ANTHROPIC_BASE_URL"] + "/v1" == seen["OPENAI_BASE_URL"]
    assert seen["ANTHROPIC_AUTH_TOKEN"] == seen["OPENAI_API_KEY"]
    assert seen["OPENAI_API_KEY"].startswith("llmp_")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "kill -TERM $$"), 143),
        (("no-such-command-here",), 127),
        (("/dev/null",), 126),
    ],
)
async def test_its_exit_code_is_the_commands(tmp_path: Path, command: tuple[str, ...], code: int) -> None:
    async with FakeProvider() as provider:
        assert (await ran(tmp_path, provider, "--", *command))[0] == code


async def test_signals_are_passed_on(tmp_path: Path) -> None:
    script = (
        "import os, signal, time\n"
        "def asked(number, frame):\n    os.write(1, b'asked\\n'); os._exit(3)\n"
        "signal.signal(signal.SIGTERM, asked); signal.signal(signal.SIGINT, asked)\n"
        "print('ready', flush=True); time.sleep(30)"
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        async with (
            FakeProvider() as provider,
            running(tmp_path, provider, "--", sys.executable, "-c", script) as process,
        ):
            assert process.stdout is not None
            async with asyncio.timeout(30):
                assert await process.stdout.readline() == b"ready\n"
                process.send_signal(number)
                out, err = await process.communicate()
            assert (process.returncode, out) == (3, b"asked\n"), err


async def test_what_still_runs_when_it_exits_is_stopped(tmp_path: Path) -> None:
    agent = AGENT.replace("urllib.request.urlopen(ask).status", "urllib.request.urlopen(ask, timeout=0.3).status")
    async with FakeProvider() as provider:
        provider.hangs(before_headers=True)
        asked = tmp_path / "asked"
        script = f"{sys.executable} -c '{agent}' 1 & until [ -e {asked} ]; do sleep 0.05; done; exit 0"
        async with asyncio.TaskGroup() as group:
            group.create_task(ran(tmp_path, provider, "--", "sh", "-c", script))
            exchange = await provider.received()
            asked.touch()
        async with asyncio.timeout(10):
            await exchange.closed.wait()


async def test_without_a_command_there_is_a_sentence(tmp_path: Path) -> None:
    async with FakeProvider() as provider:
        for arguments, word in (((), "run needs a command"), (("--budget", "lots", "--", "true"), "--budget")):
            code, _, err = await ran(tmp_path, provider, *arguments)
            assert (code, word in err) == (2, True)
