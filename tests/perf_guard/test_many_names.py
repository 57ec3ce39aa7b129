"""Thousands of models, aliases, rules and keys: a request makes the calls that it makes with a few, and the event loop as well."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from llmproxy.accounts.accounts import Accounts
from llmproxy.accounts.bank import Bank
from llmproxy.accounts.keys import Keyring
from llmproxy.accounts.prices import Prices
from llmproxy.accounts.pricing import Pricing
from llmproxy.config import Alias, Budget, Config, Key, Provider, Rule, Server, When, load
from llmproxy.config.aliases import parse_aliases
from llmproxy.core.chat import Chat
from llmproxy.core.errors import ModelNotFound
from llmproxy.routing.gateway import Gateway
from llmproxy.server.app import build
from llmproxy.server.context import ACCOUNTS, CURRENT
from llmproxy.server.process.reload import Reload
from llmproxy.store import Store
from tests.in_loop import served
from tests.waiting import soon

from .counting import calls, calls_of_loop

FEW, MANY = 50, 5_000
ANY, LIMITED = Key("any", "s"), Key("limited", "t", models=("p1/*", "model-2-*"))
WORDS = [
    "lorem",
    "ipsum",
    "dolor",
    "sit",
    "amet",
    "consectetur",
    "adipiscing",
    "elit",
    "sed",
    "do",
    "eiusmod",
    "tempor",
]


def config(models: int, aliases: int = 0, keys: tuple[Key, ...] = ()) -> Config:
    """So many models at ten providers."""
    providers = tuple(
        Provider(
            f"p{one}", "compatible", f"http://p{one}/v1", models=tuple(f"model-{one}-{n}" for n in range(models // 10))
        )
        for one in range(10)
    )
    chain = ("p1/model-1-1", "model-2-2")
    names = {name: Alias(name, chain=chain) for name in (f"alias-{one}" for one in range(aliases))}
    return Config(server=Server(keys=keys), providers=providers, aliases=names)


def asked(model: str, text: str = "hi") -> Chat:
    return Chat({"model": model, "messages": [{"role": "user", "content": text}]}, model)


def routed(gateway: Gateway, model: str, key: Key = ANY) -> Counter[str]:
    """The calls of the second question for a name: the first may make an index."""

    def route() -> None:
        with suppress(ModelNotFound):
            gateway.route(asked(model), key)

    route()
    return calls(route)


def test_a_bare_name_is_found_in_as_many_calls_among_thousands_of_models_as_among_a_few() -> None:
    few, many = (routed(Gateway.build(config(count)), "model-9-4").total() for count in (FEW, MANY))
    assert many <= 1.1 * few


@pytest.mark.parametrize("key", [ANY, LIMITED], ids=["any", "limited"])
def test_an_unknown_name_is_compared_with_few_names_however_many_there_are(key: Key) -> None:
    many, more = (routed(Gateway.build(config(count, aliases=100)), "none-1-77", key) for count in (MANY, 4 * MANY))
    assert many["SequenceMatcher.quick_ratio"] <= 2 * 16
    assert many.total() <= 6_000
    assert more.total() <= 1.2 * many.total()


def test_among_thousands_of_names_the_nearest_is_still_suggested() -> None:
    gateway = Gateway.build(config(MANY, aliases=1_000))
    with pytest.raises(ModelNotFound, match="Did you mean model-3-417"):
        gateway.route(asked("modl-3-417"), ANY)
    with pytest.raises(ModelNotFound, match="Did you mean p1/model-1-17 "):
        gateway.route(asked("p1model-1-17"), LIMITED)


def test_a_name_is_compared_with_a_thousand_patterns_at_once() -> None:
    patterns = {name: Alias(name, chain=("p1/model-1-1",)) for name in (f"old-{one}-*" for one in range(1_000))}
    gateway = Gateway.build(Config(providers=config(FEW).providers, aliases=patterns))
    assert routed(gateway, "old-7-x")["Pattern.fullmatch"] == 1


def ruled(rules: int, text: str) -> Counter[str]:
    listed = tuple(Rule(("p1/a",), When(keywords=(f"word{one}", f"a phrase of {one}"))) for one in range(rules))
    alias = Alias("by-rule", rules=listed, default=("p1/b",))
    gateway = Gateway.build(Config(providers=config(FEW).providers, aliases={"by-rule": alias}))
    return calls(lambda: gateway.route(asked("by-rule", text), ANY))


def test_a_thousand_rules_cost_what_ten_cost_and_the_question_is_read_once() -> None:
    text = " ".join(random.Random(1).choices(WORDS, k=600))
    few, many = ruled(10, text), ruled(1_000, text)
    assert many.total() <= 1.2 * few.total()
    assert (many["Pattern.findall"], many["Pattern.search"]) == (1, 0)


def test_of_a_thousand_rules_only_those_are_tried_whose_words_are_there() -> None:
    assert ruled(1_000, "is this word999?")["Pattern.search"] == 1


def test_aliases_that_lead_to_aliases_are_looked_through_once_each() -> None:
    layers = {f"a{layer}-{one}": [f"a{layer + 1}-{n}" for n in range(10)] for layer in range(20) for one in range(10)}
    table = {**layers, **{f"a20-{one}": ["p/m"] for one in range(10)}}
    assert calls(lambda: parse_aliases(table, {"p": None})).total() < 100 * len(table)


def admitted(keys: int) -> Counter[str]:
    limited = tuple(
        Key(f"k{one}", f"secret-{one}", rpm=10**6, budget=(Budget("month", 10**15),)) for one in range(keys)
    )
    pricing = Pricing(Prices({}), {})
    made = Accounts(Keyring(limited), pricing, Bank(lambda: Store(None)))
    made.configure(Config(server=Server(keys=limited)), pricing)

    def admit() -> None:
        key = made.keys.find(f"secret-{keys - 1}")
        assert key is not None
        charge = made.admit(key, asked("m"))
        assert charge is not None
        assert charge.wallet is not None
        assert len(list(charge.wallet.asked())) == 1
        assert made.keys.counts(key.name, 0.0)

    admit()
    return calls(admit)


def test_ten_thousand_keys_cost_a_request_what_one_costs() -> None:
    assert admitted(10_000).total() <= 1.1 * admitted(1).total()


def keys_file(folder: Path, keys: int) -> Path:
    table = "".join(f'[[server.keys]]\nname = "k{one}"\nsecret = "secret-{one}"\n' for one in range(keys))
    file = folder / "llmproxy.toml"
    file.write_text(table + "[storage]\nenabled = false\n[providers.demo]\n")
    return file


def test_a_file_of_many_keys_is_read_in_calls_that_grow_with_their_number(tmp_path: Path) -> None:
    few = keys_file(tmp_path, 100)
    fewer = calls(lambda: load(few, {})).total()
    many = keys_file(tmp_path, 1_000)
    assert calls(lambda: load(many, {})).total() <= 12 * fewer


async def reloaded(folder: Path, keys: int) -> Counter[str]:
    """What the loop's thread did from the signal until the new file held."""
    file = keys_file(folder, keys)
    first = load(file, {})
    app = build(first, Gateway.build(first), lambda: Store(None))
    reload = Reload(app, lambda: load(file, {}), "")
    before = app[CURRENT].gateway
    try:
        reload.reload()

        async def taken() -> bool:
            return app[CURRENT].gateway is not before

        counted = await calls_of_loop(soon(taken))
        assert app[ACCOUNTS].keys.find(f"secret-{keys - 1}") is not None
        return counted
    finally:
        reload.stop()


async def test_a_reload_of_many_keys_is_not_read_by_the_loop(tmp_path: Path) -> None:
    counted = await reloaded(tmp_path, 3_000)
    assert counted["_key"] == counted["_server"] == 0
    assert counted["digest"] == 0


LISTS: dict[str, tuple[str, dict[str, str]]] = {
    "OpenAI": ("/v1/models", {}),
    "Codex": ("/v1/models?client_version=1", {}),
    "Anthropic": ("/v1/models?limit=1000", {"anthropic-version": "2023-06-01"}),
    "Google": ("/v1beta/models?pageSize=1000", {}),
    "one": ("/v1/models/p1/model-1-1", {}),
}


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_of_models_is_made_once_and_not_by_the_loop(name: str) -> None:
    path, headers = LISTS[name]
    async with served(config(MANY, aliases=1_000, keys=(ANY, LIMITED))) as house:

        async def get(key: Key) -> bytes:
            async with house.client.get(house.url + path, headers={**headers, "X-Api-Key": key.secret}) as answer:
                assert answer.status == 200
                return await answer.read()

        first, again, limited = [await _counted(get, key) for key in (ANY, ANY, LIMITED)]
    made = sum(first[made] for made in ("_entries", "_known", "_of_alias"))
    page = 1_000 if name in ("Anthropic", "Google") else 0
    assert made == 0
    assert again.total() <= 1_500 + 14 * page
    assert limited.total() <= 1_500 + 14 * page + 3 * (MANY + 1_000)


async def _counted(get: Callable[[Key], Awaitable[bytes]], key: Key) -> Counter[str]:
    return await calls_of_loop(get(key))
