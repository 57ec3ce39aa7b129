"""The code in the documents works: what is marked is run against a real gateway, the rest is at least well-formed."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs.markdown import Block, every_block
from tests.gateway import Gateway, running_gateway

WRITTEN = "127.0.0.1:8811"  # the address that readers are told
CONFIG = "[providers.demo]\noptions = { tokens_per_second = 400 }\n"

CODE = {"python", "bash", "sh", "js"}
BLOCKS = every_block()
RUN = [block for block in BLOCKS if block.run]
REST = [block for block in BLOCKS if not block.run]


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway(CONFIG) as one:
        yield one


@pytest.mark.parametrize("block", RUN, ids=str)
def test_what_is_marked_runs_and_shows_what_it_says(block: Block, gateway: Gateway, tmp_path: Path) -> None:
    code = block.text.replace(WRITTEN, gateway.url.removeprefix("http://"))
    done = subprocess.run(
        [*COMMANDS[block.language], code],
        cwd=tmp_path,
        env={"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert block.shows
    assert block.shows in done.stdout


COMMANDS = {
    "python": [sys.executable, "-c"],
    "bash": ["bash", "-eu", "-o", "pipefail", "-c"],
}


@pytest.mark.parametrize("block", REST, ids=str)
def test_what_is_not_run_is_well_formed(block: Block) -> None:
    READ[block.language](block.text)


@pytest.mark.parametrize("block", [block for block in REST if block.language in CODE and not block.file], ids=str)
def test_code_that_is_not_run_says_why(block: Block) -> None:
    """A line before it: `<!-- not run: reason -->`."""
    assert block.why


def read_json(text: str) -> None:
    """One value after the other."""
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        text = text[decoder.raw_decode(text)[1] :]


def read_shell(text: str) -> None:
    subprocess.run(["bash", "-n", "-c", text], check=True, capture_output=True)


def read_module(text: str) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    subprocess.run([node, "--input-type=module", "--check"], input=text, text=True, check=True, capture_output=True)


def drawing(text: str) -> None:
    assert text.strip()


READ: dict[str, Callable[[str], object]] = {
    "python": ast.parse,
    "toml": tomllib.loads,
    "yaml": str,  # other programs' files: no reader of it is among our dependencies
    "nginx": str,  # these three are run by tests/server/test_real_proxies.py
    "caddyfile": str,
    "haproxy": str,
    "json": read_json,
    "bash": read_shell,
    "sh": read_shell,
    "js": read_module,
    "text": drawing,
    "": drawing,
}


def test_the_marks_are_seen() -> None:
    assert {block.page for block in RUN} >= {"README.md", "docs/adapters.md", "docs/api.md"}
