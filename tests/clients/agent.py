"""Coding agents, run headless against the gateway, and the chat provider behind it that they work with."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from llmproxy.testing import Behaviour, Exchange, chunk, sse
from tests.clients.environments import AGENTS

Json = dict[str, Any]
SSE = {"content-type": "text/event-stream"}
KEY, MODEL = "sk-good", "fake/m"
HELLO, DONE = "Hello from the model behind.", "All of it was done:"
USAGE = {"prompt_tokens": 900, "completion_tokens": 20, "total_tokens": 920}


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent.

    program: a pattern of its path in node_modules. dialect: the `face` of its requests. shell: its tool that runs a
    command, and how it is asked. files: what its folder must hold, by path under the home. asks: its arguments.
    """

    name: str
    program: str
    dialect: str
    shell: str
    arguments: Callable[[str], Json]
    environment: Callable[[str], Mapping[str, str]]
    asks: Callable[[str], list[str]]
    files: Callable[[str], Mapping[str, str]] = field(default=lambda url: {})

    def __str__(self) -> str:
        return self.name


@dataclass(slots=True)
class Ended:
    """How a run ended: its exit code, None where it was ended after `limit`, and all that it printed."""

    code: int | None
    output: str


async def run(agent: Agent, url: str, home: Path, asked: str, *, limit: float = 60.0, until: Any = None) -> Ended:
    """Runs it. until: a coroutine function; when that returns the agent gets a SIGINT, as by Ctrl-C."""
    for path, text in agent.files(url).items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text)
    work = home / "work"
    work.mkdir(exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "NO_COLOR": "1",
        "TERM": "dumb",
        **agent.environment(url),
    }
    [program, *_] = [str(path) for path in (AGENTS / "node_modules").glob(agent.program)]
    process = await asyncio.create_subprocess_exec(
        program,
        *agent.asks(asked),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
        cwd=work,
        start_new_session=True,
    )
    reading = asyncio.ensure_future(process.stdout.read() if process.stdout is not None else asyncio.sleep(0, b""))
    try:
        async with asyncio.timeout(limit):
            if until is not None:
                await until()
                os.killpg(process.pid, signal.SIGINT)
            await process.wait()
    except TimeoutError:
        pass
    finally:
        code = process.returncode
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return Ended(code, (await reading).decode("utf-8", "replace"))


def says(*deltas: Json, finish: str = "stop") -> Behaviour:
    """A chat provider's stream."""
    frames = [sse(chunk(delta), done=False) for delta in deltas]
    return Behaviour([*frames, sse(chunk({}, finish=finish), chunk(None, usage=USAGE))], headers=SSE)


def works(agent: Agent) -> Callable[[Exchange], Behaviour | None]:
    """A model that asks for two commands at once and tells of their results; titles and the like get a short answer."""

    def route(exchange: Exchange) -> Behaviour | None:
        if exchange.method != "POST":
            return None
        asked = exchange.json
        tools = [tool["function"]["name"] for tool in asked.get("tools") or () if tool.get("type") == "function"]
        results = [text_of(one) for one in asked["messages"] if one["role"] == "tool"]
        if agent.shell not in tools:
            return says({"content": '{"title": "Work"}'})
        if results:
            return says({"content": f"{DONE} {' '.join(results)[-400:]}"})
        calls = [_call(number, agent, f"echo result-{number}") for number in (0, 1)]
        return says({"reasoning_content": "Two commands."}, *calls, finish="tool_calls")

    return route


def greets(exchange: Exchange) -> Behaviour | None:
    return says({"reasoning_content": "A greeting."}, {"content": HELLO}) if exchange.method == "POST" else None


def breaks_off(exchange: Exchange) -> Behaviour | None:
    half = [sse(chunk({"content": "Half of"}), done=False)]
    return Behaviour(half, headers=SSE, framing="close", ending="fin") if exchange.method == "POST" else None


def never_ends(exchange: Exchange) -> Behaviour | None:
    begun = [sse(chunk({"content": "Beginning"}), done=False)]
    return Behaviour(begun, headers=SSE, ending="hang") if exchange.method == "POST" else None


def text_of(message: Json) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else " ".join(_texts(content))


def _texts(content: object) -> Iterator[str]:
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            yield part["text"]


def _call(index: int, agent: Agent, command: str) -> Json:
    function = {"name": agent.shell, "arguments": orjson.dumps(agent.arguments(command)).decode()}
    return {"tool_calls": [{"index": index, "id": f"call_{index}", "type": "function", "function": function}]}


# The agents


def _command(command: str) -> Json:
    return {"command": command, "description": "Prints a line"}


CLAUDE_CODE = Agent(
    "claude-code",
    ".bin/claude",
    "messages",
    "Bash",
    _command,
    lambda url: {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": MODEL,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    },
    lambda asked: ["-p", asked, "--model", MODEL, "--allowedTools", "Bash"],
)


def _opencode(npm: str, dialect: str) -> Agent:
    def files(url: str) -> Mapping[str, str]:
        provider = {"npm": npm, "options": {"baseURL": f"{url}/v1", "apiKey": KEY}, "models": {MODEL: {"name": "m"}}}
        config = {"provider": {"gw": provider}, "permission": "allow"}
        return {".config/opencode/opencode.json": orjson.dumps(config).decode()}

    return Agent(
        f"opencode {dialect}",
        "opencode-*/bin/opencode",
        dialect,
        "bash",
        _command,
        lambda url: {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1"},
        lambda asked: ["run", "-m", f"gw/{MODEL}", asked],
        files,
    )


def _copilot(dialect: str, **more: str) -> Agent:
    def environment(url: str) -> Mapping[str, str]:
        base = url if dialect == "messages" else f"{url}/v1"
        return {
            "COPILOT_OFFLINE": "true",
            "COPILOT_PROVIDER_BASE_URL": base,
            "COPILOT_PROVIDER_API_KEY": KEY,
            "COPILOT_MODEL": MODEL,
            **more,
        }

    asks: Callable[[str], list[str]] = lambda asked: ["-p", asked, "--allow-all-tools"]  # noqa: E731
    return Agent(f"copilot {dialect}", ".bin/copilot", dialect, "bash", _command, environment, asks)


def _pi(dialect: str, api: str) -> Agent:
    def files(url: str) -> Mapping[str, str]:
        base = url if dialect == "messages" else f"{url}/v1"
        provider = {"baseUrl": base, "apiKey": KEY, "api": api, "models": [{"id": MODEL}]}
        return {".pi/agent/models.json": orjson.dumps({"providers": {"gw": provider}}).decode()}

    asks: Callable[[str], list[str]] = lambda asked: ["--provider", "gw", "--model", MODEL, "-p", asked]  # noqa: E731
    return Agent(f"pi {dialect}", ".bin/pi", dialect, "bash", _command, lambda url: {"PI_OFFLINE": "1"}, asks, files)


QWEN = Agent(
    "qwen-code",
    ".bin/qwen",
    "chat",
    "run_shell_command",
    lambda command: {**_command(command), "is_background": False},
    lambda url: {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": KEY, "OPENAI_MODEL": MODEL},
    lambda asked: ["--auth-type", "openai", "--yolo", "-p", asked],
)
GEMINI_CLI = Agent(
    "gemini-cli",
    ".bin/gemini",
    "gemini",
    "run_shell_command",
    _command,
    lambda url: {"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": KEY},
    lambda asked: ["--skip-trust", "--yolo", "-m", MODEL, "-p", asked],
    lambda url: {".gemini/settings.json": '{"security":{"auth":{"selectedType":"gemini-api-key"}}}'},
)
EVERY = (
    CLAUDE_CODE,
    _opencode("@ai-sdk/openai-compatible", "chat"),
    _opencode("@ai-sdk/openai", "responses"),
    _opencode("@ai-sdk/anthropic", "messages"),
    _copilot("chat"),
    _copilot("responses", COPILOT_PROVIDER_WIRE_API="responses"),
    _copilot("messages", COPILOT_PROVIDER_TYPE="anthropic"),
    _pi("chat", "openai-completions"),
    _pi("responses", "openai-responses"),
    _pi("messages", "anthropic-messages"),
    QWEN,
    GEMINI_CLI,
)
