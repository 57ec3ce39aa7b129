"""A real llama.cpp server with a model made on the spot, and a gateway in front of it."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import pytest

from tests.gateway import Gateway, running_gateway
from tests.llamacpp.make_tiny_gguf import make

LISTENING = re.compile(r"listening on (http://127\.0\.0\.1:\d+)")
SERVER = Path(__file__).with_name("xserve.py")
CONFIG = """
[limits]
retries = 0

[providers.llamacpp]
base_url = "{url}/v1"
"""

if importlib.util.find_spec("xllamacpp") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the models that the tests use; each takes half a second to make."""
    folder = tmp_path_factory.mktemp("models")
    make(folder / "tiny.gguf")
    make(folder / "endless.gguf", eos_bias=-40.0)
    make(folder / "thinking.gguf", thinking=True)
    return folder


@contextmanager
def running_llamacpp(model: Path, *options: str) -> Iterator[str]:
    """The server's address, once the model is loaded."""
    output = model.with_suffix(".log")
    with output.open("wb") as log:
        command = [sys.executable, str(SERVER), "-m", str(model), *options]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield _address(process, output)
    finally:
        process.kill()
        process.wait()


def _address(process: subprocess.Popen[bytes], output: Path) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        found = LISTENING.search(output.read_text(errors="replace"))
        if found:
            return found[1]
        time.sleep(0.02)
    raise RuntimeError(f"llama.cpp did not start:\n{output.read_text(errors='replace')[-2000:]}")


@pytest.fixture(scope="session")
def llamacpp(models: Path) -> Iterator[str]:
    with running_llamacpp(models / "tiny.gguf", "--alias", "tiny", "--embeddings") as url:
        yield url


@pytest.fixture(scope="session")
def gateway(llamacpp: str) -> Iterator[Gateway]:
    with running_gateway(CONFIG.format(url=llamacpp)) as gateway:
        yield gateway


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key="unused", max_retries=0) as client:
        yield client
