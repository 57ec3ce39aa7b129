"""A client in its own environment, driven line by line: the real SDK in a process that lives as long as its tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import orjson
import pytest

from tests.clients.environments import FRAMEWORKS, HERE, LLAMA_INDEX, NODE_MODULES, Environment
from tests.clients.house import KEY, House

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Client:
    """A client, what it can do, and what it calls the two failures: the class or name of the error."""

    name: str
    environment: Environment
    program: Path
    bad_key: str
    unknown_model: str
    verbs: frozenset[str]
    unknown_status: int = 404  # of an unknown model; OpenAI's Responses say 400
    arguments: tuple[str, ...] = ()  # of the program

    def __str__(self) -> str:
        return self.name


_HIDDEN = ("OPENAI_", "PYTHON", "ANTHROPIC_", "GOOGLE_", "GEMINI_")
_ALL = frozenset(("chat", "stream", "tools", "parse", "stop", "cancel"))
_OPENAI = ("AuthenticationError", "NotFoundError")
_VERCEL = ("AI_APICallError", "AI_APICallError")


def _python(name: str, environment: Environment, errors: tuple[str, str] = _OPENAI) -> Client:
    program = HERE / "programs" / f"{name.replace('-', '_')}_client.py"
    return Client(name, environment, program, *errors, verbs=_ALL)


def _node(name: str, verbs: frozenset[str], errors: tuple[str, str] = _OPENAI, unknown_status: int = 404) -> Client:
    return Client(f"{name}-node", NODE_MODULES, HERE / "node" / f"{name}.js", *errors, verbs, unknown_status)


CLIENTS = (
    _python("langchain", FRAMEWORKS),
    _python("pydantic-ai", FRAMEWORKS, ("ModelHTTPError", "ModelHTTPError")),
    _python("llm", FRAMEWORKS),
    _python("llama-index", LLAMA_INDEX),
    _node("openai", _ALL | {"models"}),
    _node("langchain", _ALL),
    _node("vercel", _ALL - {"stop"}, _VERCEL),  # leaving its textStream does not end it
    _node("vercel-responses", _ALL - {"stop"}, _VERCEL, 400),
)


@dataclass(slots=True)
class Program:
    """A running client."""

    client: Client
    house: House
    process: subprocess.Popen[bytes]

    def ask(self, verb: str, model: str = "", *, key: str = KEY, **members: Any) -> Json:
        """What the program replies."""
        request = {"verb": verb, "base_url": self.house.base_url, "key": key, "model": model, **members}
        self._write(orjson.dumps(request) + b"\n")
        line = self._pipe(self.process.stdout).readline()
        assert line, f"{self.client} ended with {self.process.wait()}; its standard error says why"
        reply: Json = orjson.loads(line)
        return reply

    def _write(self, line: bytes) -> None:
        pipe = self._pipe(self.process.stdin)
        pipe.write(line)
        pipe.flush()

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe


@contextmanager
def running_program(client: Client, house: House) -> Iterator[Program]:
    if not client.environment.ready:
        pytest.skip(f"the environment {client.environment.name!r} is not made: `make test-clients` makes it")
    with TemporaryDirectory(prefix="llmproxy-client-") as home:
        command = [*client.environment.command, str(client.program), *client.arguments]
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(_HIDDEN)}
        environment = {**inherited, "HOME": home, "LLM_USER_PATH": home}
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=home
        ) as process:
            yield Program(client, house, process)
            Program._pipe(process.stdin).close()
            process.wait(10)
