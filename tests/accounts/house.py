"""A gateway with keys, and a provider that says what it counts, as one thing that a test asks and looks at."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from llmproxy.testing import FakeProvider
from llmproxy.testing.provider import Route
from tests import forks
from tests.gateway import Gateway, running_gateway

Json = dict[str, Any]
STORE: dict[str, str] = {}  # variables that say where all houses keep what they keep

ANN, BOB, ROOT = "ann-secret-of-some-length", "bob-secret-of-some-length", "root-secret-of-some-length"
KEYS = f"""
    [[server.keys]]
    name = "ann"
    secret = "{ANN}"
    [[server.keys]]
    name = "bob"
    secret = "{BOB}"
    [[server.keys]]
    name = "root"
    secret = "{ROOT}"
    admin = true
    """
ASK: Json = {"model": "near/m", "messages": [{"role": "user", "content": "Hello there"}]}


def usage(tokens_in: int = 10, tokens_out: int = 5, **more: Any) -> Json:
    return {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out, **more}


def answer(text: str = "Hello", **more: Any) -> Json:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", "logprobs": None}
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage(),
        **more,
    }  # fmt: skip


@dataclass(slots=True, repr=False)
class House:
    gateway: Gateway
    provider: FakeProvider
    client: aiohttp.ClientSession

    async def call(self, method: str, path: str, key: str = "", body: object = None, **headers: str) -> Any:
        """(status, body as JSON, headers)."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        bearer = {"Authorization": f"Bearer {key}"} if key else {}
        url = f"{self.gateway.url}{path}"
        async with self.client.request(method, url, json=body, headers={**bearer, **named}) as said:
            return said.status, await said.json(content_type=None), said.headers

    async def ask(self, key: str = "", body: Json = ASK, **headers: str) -> Any:
        return await self.call("POST", "/v1/chat/completions", key, body, **headers)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`llmproxy ...` beside the running gateway, with its config and its data."""
        folder = self.gateway.folder
        env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LLMPROXY_DATA_DIR": str(folder / "data"), **STORE}
        config = str(folder / "llmproxy.toml")
        return forks.run(*arguments, "--config", config, cwd=folder, env=env, timeout=30)


@asynccontextmanager
async def house(
    config: str = KEYS, *, environment: Mapping[str, str] | None = None, route: Route | None = None
) -> AsyncIterator[House]:
    """A gateway of a test's own. Tokens cost 1 and 2 dollars a million, but at `far`, where no price is known.

    All providers are the fake one; `plain` is not asked for streams. PORT in the config is where it listens.
    """
    async with FakeProvider(route=route) as provider, aiohttp.ClientSession() as client:
        with running_gateway(written(config, provider.port), {**STORE, **(environment or {})}) as gateway:
            yield House(gateway, provider, client)


def written(config: str, port: int) -> str:
    """The file of a gateway whose providers are at this port."""
    text = "\n".join(_provider(name, port) for name in ("near", "far", "plain"))
    text += "\nstream_options = false\n"
    costs = {"near/free": (0, 0)} | dict.fromkeys(("near/m*", "plain/*", "gem/*", "claude/*", "oai/*"), (1, 2))
    prices = "[prices]\n" + "".join(f'"{name}" = {{ input = {a}, output = {b} }}\n' for name, (a, b) in costs.items())
    return f"{config}\n{text}\n{prices}".replace("PORT", str(port))


def _provider(name: str, port: int) -> str:
    return f"""[providers.{name}]
        adapter = "compatible"
        base_url = "http://127.0.0.1:{port}/v1"
        api_key = "sk-canary-0123456789abcdef"
        list_models = false
        breaker = {{ failures = 100000, samples = 1000 }}"""
