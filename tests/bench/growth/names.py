"""Models, aliases, rules and keys: lists, routing and a reload at each size."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from llmproxy.accounts.keys import Keyring
from llmproxy.config import Config, Key, load
from llmproxy.core.chat import Chat
from llmproxy.core.errors import ModelNotFound
from llmproxy.routing.gateway import Gateway
from llmproxy.server.app import build
from llmproxy.server.context import ACCOUNTS, CURRENT
from llmproxy.server.process.reload import Reload
from llmproxy.store import Store
from tests.in_loop import served
from tests.waiting import soon

from . import filling
from .clock import least, longest_work, waited
from .curves import Curve

ANY = Key("any", "s")
_MANY = 200  # calls that are measured together


async def lists(sizes: list[int]) -> Curve:
    curve = Curve("models", "GET /v1/models", "models")
    for size in sizes:
        async with served(filling.models(size)) as house:

            async def get(path: str = "/v1/models", house: object = house) -> None:
                async with house.client.get(house.url + path) as answer:  # type: ignore[attr-defined]
                    await answer.read()

            await get("/livez")
            curve.add("first, work of the loop at once", size, await longest_work(get))
            curve.add("again", size, min([await waited(get) for _ in range(5)]))
    return curve


def routing(sizes: list[int]) -> Curve:
    curve = Curve("routing", "Routing of one request", "models or rules", "us")
    text = " ".join(f"word{number}x" for number in range(400))
    for size in sizes:
        gateway = Gateway.build(filling.models(size))
        for line, model in (("bare name", "model-2-3"), ("unknown name", "modle-2-3")):
            curve.add(line, size, _each(gateway, model))
    for size in (10, 100, 1_000):
        curve.add("rules", size, _each(Gateway.build(filling.rules(size)), "by-rule", text))
    return curve


def _each(gateway: Gateway, model: str, text: str = "hi") -> float:
    """Microseconds."""

    def route() -> None:
        with suppress(ModelNotFound):
            gateway.route(Chat({"model": model, "messages": [{"role": "user", "content": text}]}, model), ANY)

    def many() -> None:
        for _ in range(_MANY):
            route()

    route()
    return least(many) * 1e3 / _MANY


async def keys(sizes: list[int], folder: Path) -> Curve:
    curve = Curve("keys", "Keys", "keys")
    for size in sizes:
        ring = Keyring(filling.keys(size).server.keys)
        found = least(lambda ring=ring, size=size: [ring.find(f"secret-{size - 1}") for _ in range(_MANY)])  # type: ignore[misc]
        curve.add("look-up", size, found / _MANY)
        curve.add("reload, work of the loop at once", size, await _reload(size, folder))
    return curve


async def _reload(size: int, folder: Path) -> float:
    file = folder / "llmproxy.toml"
    file.write_text(filling.keys_file(size))
    first: Config = load(file, {})
    app = build(first, Gateway.build(first), lambda: Store(None))
    reload, before = Reload(app, lambda: load(file, {}), ""), app[CURRENT].gateway

    async def taken() -> bool:
        return app[CURRENT].gateway is not before

    async def work() -> None:
        reload.reload()
        await soon(taken, 120.0)

    try:
        longest = await longest_work(work)
        assert app[ACCOUNTS].keys.counts(f"k{size - 1}", time.time())
        return longest
    finally:
        reload.stop()
