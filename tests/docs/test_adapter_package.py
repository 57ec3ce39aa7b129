"""The adapters of docs/adapters.md, built and installed as their own package and asked through a running gateway."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from llmproxy.testing import FakeProvider, chunk, completion, sse
from tests.docs.markdown import ROOT, blocks
from tests.gateway import Gateway, running_gateway

FILES = {block.file: block.text for block in blocks(ROOT / "docs" / "adapters.md") if block.file}
QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello there"}]
KEY = "acme-secret-0123456789"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def installed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has put the package: built from its pyproject.toml, nothing fetched."""
    target = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, str(source)], check=True, capture_output=True, text=True
    )
    return target


@pytest.fixture
async def acme() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


@pytest.fixture
def gateway(installed: Path, acme: FakeProvider) -> Iterator[Gateway]:
    environment = {"PYTHONPATH": str(installed), "ACME_API_KEY": KEY, "ACME_BASE_URL": f"{acme.url}/v1"}
    with running_gateway(environment=environment) as one:
        yield one


def client(gateway: Gateway) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=gateway.base_url, api_key="unused", max_retries=0)


async def test_it_is_found_by_its_entry_point_and_asked_with_its_own_header(
    gateway: Gateway, acme: FakeProvider
) -> None:
    acme.answers(completion("Hi"))
    async with client(gateway) as ours:
        answer = await ours.chat.completions.create(model="acme/one", messages=QUESTION)
    assert answer.choices[0].message.content == "Hi"
    assert acme.last.path == "/v1/chat/completions"
    assert acme.last.headers["x-acme-key"] == KEY
    assert "authorization" not in acme.last.headers


async def test_what_it_refuses_is_dropped_and_told(gateway: Gateway, acme: FakeProvider) -> None:
    acme.answers(completion("Hi"))
    async with client(gateway) as ours:
        answer = await ours.chat.completions.with_raw_response.create(
            model="acme/one",
            messages=QUESTION,
            logit_bias={"50256": -100},
        )
    assert answer.headers["X-LLMProxy-Dropped-Params"] == "logit_bias"
    assert "logit_bias" not in acme.last.json


async def test_its_stream_arrives(gateway: Gateway, acme: FakeProvider) -> None:
    acme.streams(sse(chunk({"content": "Hi"}), chunk({"content": " you"}), chunk({}, finish="stop")))
    assert await streamed(gateway, "acme/one") == "Hi you"


async def test_the_one_in_the_process_answers_too(gateway: Gateway, acme: FakeProvider) -> None:
    assert await streamed(gateway, "echo/echo") == "Hello there "
    assert acme.exchanges == []


async def streamed(gateway: Gateway, model: str) -> str:
    async with client(gateway) as ours:
        stream = await ours.chat.completions.create(model=model, messages=QUESTION, stream=True)
        return "".join([one.choices[0].delta.content or "" async for one in stream if one.choices])


@pytest.mark.thorough
@pytest.mark.parametrize("file", ["test_acme.py", "test_acme_waits.py"])
def test_the_tests_on_the_page_pass(source: Path, installed: Path, file: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(source / file)],
        cwd=source,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "failed" not in done.stdout
    assert "passed" in done.stdout
