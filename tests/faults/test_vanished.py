"""F11: a client that vanishes without a word, behind a network that is cut. It takes its time, so LLMPROXY_SOAK=1 runs it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from llmproxy.testing import FakeProvider
from tests.faults.conftest import KEY_A, KEYS
from tests.faults.house import FIRST, MORE, House, config, soon, streaming
from tests.faults.test_process import serve
from tests.faults.wire import post
from tests.gateway import Gateway

HERE, THERE, SPACE = "10.99.71.1", "10.99.71.2", "llmproxy-faults"
CLIENT = """
import socket, sys, time
made = socket.create_connection(sys.argv[1:3])
made.sendall(sys.stdin.buffer.read())
time.sleep(99)
"""

pytestmark = [
    pytest.mark.skipif(os.environ.get("LLMPROXY_SOAK") != "1", reason="LLMPROXY_SOAK=1 runs it"),
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("ip") is None, reason="only root may make networks, with iproute2"
    ),
]


@contextmanager
def network() -> Iterator[None]:
    """Another network, reached by a cable of its own."""
    for words in (
        f"netns add {SPACE}",
        f"link add lp-here type veth peer name lp-there netns {SPACE}",
        f"addr add {HERE}/24 dev lp-here",
        "link set lp-here up",
        f"-n {SPACE} addr add {THERE}/24 dev lp-there",
        f"-n {SPACE} link set lp-there up",
    ):
        ip(words)
    try:
        yield
    finally:
        ip("link del lp-here")
        ip(f"netns del {SPACE}")


def ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)


@asynccontextmanager
async def listening_there(folder: Path) -> AsyncIterator[House]:
    async with FakeProvider() as provider:
        process = serve(folder, config(provider.port, keys=KEYS, host=f'"{HERE}"'))
        try:
            yield House(Gateway(await soon(lambda: _address(folder)), folder, process), provider)
        finally:
            process.kill()
            process.wait()


async def _address(folder: Path) -> str:
    found = re.search(rf"http://{HERE}:\d+", (folder / "output").read_text())
    return found[0] if found else ""


@pytest.mark.parametrize("how", ["silent", "talking"])
async def test_f11_a_client_that_vanishes_is_noticed(tmp_path: Path, how: str) -> None:
    frames = (FIRST, *[MORE] * 1000) if how == "talking" else (FIRST,)
    with network():
        async with listening_there(tmp_path) as house:
            case = house.case("p", streaming(*frames, every=0.1, ending="hang"))
            body = {"model": case.model, "stream": True, "messages": [{"role": "user", "content": "?"}]}
            request = post(
                "/v1/chat/completions", body, Host=HERE, X_Request_ID=case.id, Authorization=f"Bearer {KEY_A}"
            )
            with client(house, request):
                exchange = await case.arrived()
                await asyncio.sleep(0.5)
                ip("link set lp-here down")
                began = time.monotonic()
                async with asyncio.timeout(40):
                    await exchange.closed.wait()
                print(f"{how}: noticed after {time.monotonic() - began:.1f} s")
            (line,) = await case.noted()
            assert (line["outcome"], line["by"]) == ("cancelled", "client_disconnect")


@contextmanager
def client(house: House, request: bytes) -> Iterator[None]:
    inside = ["ip", "netns", "exec", SPACE, sys.executable, "-c", CLIENT, HERE, str(house.port)]
    process = subprocess.Popen(inside, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(request)
    process.stdin.close()
    try:
        yield
    finally:
        process.kill()
        process.wait()
