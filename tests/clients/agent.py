"""A coding agent, run headless against the gateway."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.environments import AGENTS, CODEX, CODING_AGENTS
from tests.clients.wires.turn import Call

KEY = "sk-good"


@dataclass(frozen=True, slots=True)
class Desk:
    """Where an agent works: the gateway's address, the model's name there, and a home of the agent's own."""

    url: str
    model: str
    home: Path

    @property
    def work(self) -> Path:
        return self.home / "work"

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent.

    program: a pattern of its path in node_modules. dialect: the `face` of its requests.
    command, edit, look: how its model asks for a command, a change of a file (path, old text, new text), and a picture;
    reads: for a text, if not as for a picture. asks: its arguments for a prompt.
    environment, files: its settings, and what its home must hold, by path under it.
    attach, mention: how a picture is shown with the prompt, where that can be done: arguments, or words of the prompt.
    sees: whether its model is shown the pictures that it looks at. model: the name of its model at the provider.
    offers: a tool that only the requests of its work have, if that is not the one for commands.
    resumes: the arguments with which it goes on with its last conversation, where it can.
    """

    name: str
    program: str
    dialect: str
    command: Callable[[str], Call]
    edit: Callable[[str, str, str], Call]
    look: Callable[[str], Call]
    asks: Callable[[Desk, str], list[str]]
    environment: Callable[[Desk], Mapping[str, str]]
    files: Callable[[Desk], Mapping[str, str]] = lambda desk: {}
    attach: Callable[[str], Sequence[str]] | None = None  # further arguments
    mention: Callable[[str], str] | None = None  # words of the prompt
    resumes: tuple[str, ...] = ()
    sees: bool = True
    model: str = "m"
    reads: Callable[[str], Call] | None = None
    offers: str = ""

    def __str__(self) -> str:
        return self.name

    def read(self, path: str) -> Call:
        return (self.reads or self.look)(path)

    @property
    def tool(self) -> str:
        """What the requests of its work offer, and others do not."""
        return self.offers or self.command("").tool


@dataclass(slots=True)
class Ended:
    """How a run ended: its exit code, None where it was ended after `limit`, and all that it printed."""

    code: int | None
    output: str


async def run(
    agent: Agent,
    desk: Desk,
    asked: str,
    *options: str,
    limit: float = 60.0,
    until: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> Ended:
    """Runs it. until: when that returns the agent gets a SIGINT, as by Ctrl-C; if it raises TimeoutError the agent is ended."""
    for path, text in agent.files(desk).items():
        (desk.home / path).parent.mkdir(parents=True, exist_ok=True)
        (desk.home / path).write_text(text)
    desk.work.mkdir(exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(desk.home),
        "NO_COLOR": "1",
        "TERM": "dumb",
        **agent.environment(desk),
    }
    process = await asyncio.create_subprocess_exec(
        _path(agent),
        *agent.asks(desk, asked),
        *options,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
        cwd=desk.work,
        start_new_session=True,
    )
    assert process.stdout is not None
    reading = asyncio.ensure_future(process.stdout.read())
    try:
        async with asyncio.timeout(limit):
            await _over(process, until)
    except TimeoutError:
        pass
    finally:
        code = process.returncode
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return Ended(code, (await reading).decode("utf-8", "replace"))


async def _over(process: asyncio.subprocess.Process, until: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
    """Returns when the agent has ended, by itself or by the SIGINT that it got."""
    if until is not None:
        ending, stopping = asyncio.create_task(process.wait()), asyncio.create_task(until())
        try:
            await asyncio.wait((ending, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                await stopping
                os.killpg(process.pid, signal.SIGINT)
        finally:
            ending.cancel()
            stopping.cancel()
    await process.wait()


def installed(agent: Agent) -> bool:
    return (CODEX if agent.name == "codex" else CODING_AGENTS).ready


def _path(agent: Agent) -> str:
    if agent.name == "codex":
        return CODEX.command[0]
    return str(next((AGENTS / "node_modules").glob(agent.program)))
