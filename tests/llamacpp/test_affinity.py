"""Three equal llama.cpp servers: by their own counts, the turns of a conversation meet the prompt cache that it has filled."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway import Gateway, running_gateway
from tests.llamacpp.conftest import running_llamacpp

CHATS, TURNS, AT_ONCE = 50, 4, 6
NAMES = ("one", "two", "three")


def words(seed: int) -> str:
    """Words that no other seed has: where prompts are alike, the server lets one overwrite the other in its cache."""
    dice = random.Random(seed)
    return " ".join("".join(dice.choices("abcdefghiklmnoprstuvw", k=6)) for _ in range(12))


@dataclass
class Conversation:
    """One of many, with the server and the prompt's tokens of its last turn."""

    number: int
    messages: list[dict[str, Any]] = field(default_factory=list)
    server: str = ""
    tokens: int = 0
    warm: list[bool] = field(default_factory=list)

    async def turn(self, client: aiohttp.ClientSession, headers: dict[str, str]) -> None:
        if not self.messages:
            self.messages.append({"role": "system", "content": words(self.number)})
        self.messages.append({"role": "user", "content": words(self.number + 1000 * len(self.messages))})
        body = {"model": "farm", "messages": self.messages, "max_tokens": 8}
        async with client.post("/v1/chat/completions", json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            said = await answer.json()
        if self.tokens:  # warm: all that the server has read in the turn before is in its cache
            self.warm.append(said["usage"]["prompt_tokens_details"]["cached_tokens"] >= self.tokens - 1)
        self.server, self.tokens = answer.headers["X-LLMProxy-Provider"], said["usage"]["prompt_tokens"]
        self.messages.append({"role": "assistant", "content": said["choices"][0]["message"]["content"] or ""})


@contextmanager
def farm(models: Path, folder: Path) -> Iterator[tuple[Gateway, dict[str, ExitStack]]]:
    """The gateway, and what ends each of the servers behind it."""
    with ExitStack() as all_of_them:
        servers: dict[str, ExitStack] = {}
        lines = ["[limits]", "retries = 0", "[aliases]", 'farm = { weights = ["one/tiny", "two/tiny", "three/tiny"] }']
        for name in NAMES:
            servers[name] = all_of_them.enter_context(ExitStack())
            own = shutil.copy(models / "tiny.gguf", folder / f"{name}.gguf")
            options = ("--alias", "tiny", "-np", "4", "--ctx-size", "8192")
            url = servers[name].enter_context(running_llamacpp(Path(own), *options))
            lines += [f"[providers.{name}]", 'adapter = "llamacpp"', f'base_url = "{url}/v1"']
        yield all_of_them.enter_context(running_gateway("\n".join(lines))), servers


async def round_of(conversations: Sequence[Conversation], gateway: Gateway, **headers: str) -> None:
    """One turn of each, interleaved: some at once, in an order by chance."""
    places = asyncio.Semaphore(AT_ONCE)
    order = random.Random(len(conversations[0].messages)).sample(conversations, len(conversations))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with aiohttp.ClientSession(gateway.url) as client:

        async def turn(one: Conversation) -> None:
            async with places:
                await one.turn(client, named)

        await asyncio.gather(*map(turn, order))


def share_of_warm(conversations: Sequence[Conversation]) -> float:
    turns = [warm for one in conversations for warm in one.warm]
    return sum(turns) / len(turns)


@pytest.mark.timeout(240)
@pytest.mark.thorough
async def test_turns_meet_the_warm_server_and_a_killed_one_moves_only_its_own_conversations(
    models: Path, tmp_path: Path
) -> None:
    with farm(models, tmp_path) as (gateway, servers):
        kept = [Conversation(number) for number in range(CHATS)]
        for _ in range(TURNS):
            await round_of(kept, gateway)
        assert share_of_warm(kept) >= 0.95
        assert {one.server for one in kept} == set(NAMES)

        drawn = [Conversation(number) for number in range(CHATS, 2 * CHATS)]
        for _ in range(2):
            await round_of(drawn, gateway, X_LLMProxy_Affinity="off")
        assert share_of_warm(drawn) < 0.8, "each turn by lot: a third of them, by chance"

        before = [one.server for one in kept]
        servers["two"].close()
        await round_of(kept, gateway)
        moved = {one.server for one, was in zip(kept, before, strict=True) if was == "two"}
        assert moved == {"one", "three"}
        assert all(one.server == was for one, was in zip(kept, before, strict=True) if was != "two")


@pytest.mark.parametrize(("slots", "stays"), [("slots = 4", True), ("", False)])
async def test_with_slots_in_the_config_each_conversation_has_one_of_its_own(
    models: Path, tmp_path: Path, slots: str, stays: bool
) -> None:
    own = shutil.copy(models / "tiny.gguf", tmp_path / "slots.gguf")
    kept = [Conversation(number) for number in range(11)]
    used: dict[int, set[int]] = {one.number: set() for one in kept}
    with running_llamacpp(Path(own), "--alias", "tiny", "-np", "4", "--ctx-size", "8192") as url:
        provider = f'[providers.one]\nadapter = "llamacpp"\nbase_url = "{url}/v1"\n{slots}\n'
        with running_gateway(f'{provider}[routing]\nhints = true\n[aliases]\nfarm = "one/tiny"\n') as gateway:
            async with aiohttp.ClientSession() as server, aiohttp.ClientSession(gateway.url) as client:
                for _ in range(3):
                    for one in kept:
                        before = await _tasks(server, url)
                        await one.turn(client, {})
                        now = await _tasks(server, url)
                        used[one.number] |= {slot for slot in now if now[slot] != before[slot]}
    assert all(len(one) == 1 for one in used.values()) is stays
    assert set().union(*used.values()) == {0, 1, 2, 3}


async def _tasks(server: aiohttp.ClientSession, url: str) -> dict[int, Any]:
    """The last task of each slot, by the server's own list."""
    async with server.get(f"{url}/slots") as answer:
        return {one["id"]: one.get("id_task") for one in await answer.json()}
