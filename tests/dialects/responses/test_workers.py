"""Several workers: whichever is asked, it finds what another one keeps."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession, TCPConnector

from llmproxy.testing import Behaviour, Exchange, FakeProvider, completion
from tests.clients.house import elsewhere
from tests.gateway import Gateway, running_gateway
from tests.waiting import soon

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is one worker only")
OFTEN = 8  # each on a connection of its own, so that every worker is asked


@pytest.fixture(scope="module", params=["memory", "disk"])
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    provider = FakeProvider(route=_answer)
    with elsewhere(provider):
        yield from _running(provider, request.param, tmp_path_factory.mktemp("data"))


def _running(provider: FakeProvider, store: str, folder: Path) -> Iterator[Gateway]:
    config = f"""
        [server]
        workers = 3
        [storage]
        dir = "{folder}"
        [responses]
        store = "{store}"
        [providers.up]
        adapter = "compatible"
        base_url = "{provider.url}/v1"
        models = ["m", "silent"]
        list_models = false
    """
    with running_gateway(config) as gateway:
        yield gateway


def _answer(exchange: Exchange) -> Behaviour | None:
    if exchange.method != "POST":
        return None
    if exchange.json["model"] == "silent":
        return Behaviour(ending="hang", silent=True)
    return Behaviour(
        [orjson.dumps(completion("Hello"))], headers={"content-type": "application/json"}, framing="length"
    )


async def call(gateway: Gateway, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    url = f"{gateway.base_url}/responses{path}"
    connector = TCPConnector(force_close=True)
    async with ClientSession(connector=connector) as client, client.request(method, url, json=body) as response:
        return response.status, await response.json()


async def test_a_response_is_found_by_all(gateway: Gateway) -> None:
    _, first = await call(gateway, "POST", "", {"model": "m", "input": "Hi"})
    following = {"model": "m", "input": "On", "previous_response_id": first["id"]}
    referring = {"model": "m", "input": [{"type": "item_reference", "id": first["output"][0]["id"]}]}
    for _ in range(OFTEN):
        assert (await call(gateway, "GET", f"/{first['id']}"))[1]["output"] == first["output"]
        assert (await call(gateway, "POST", "", following))[0] == 200
        assert (await call(gateway, "POST", "", referring))[0] == 200
    assert (await call(gateway, "DELETE", f"/{first['id']}"))[0] == 200
    assert {(await call(gateway, "GET", f"/{first['id']}"))[0] for _ in range(OFTEN)} == {404}


async def test_one_in_the_background_is_stopped_by_any(gateway: Gateway) -> None:
    _, made = await call(gateway, "POST", "", {"model": "silent", "input": "Hi", "background": True})

    async def runs() -> bool:
        return bool((await call(gateway, "GET", f"/{made['id']}"))[1]["status"] == "in_progress")

    await soon(runs)
    assert {(await call(gateway, "GET", f"/{made['id']}"))[1]["status"] for _ in range(OFTEN)} == {"in_progress"}
    assert (await call(gateway, "POST", f"/{made['id']}/cancel"))[1]["status"] == "cancelled"
