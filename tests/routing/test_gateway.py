"""What is offered, and a config put together: who is asked for which face, and what is wrapped around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
import pytest
import structlog
from structlog.testing import capture_logs

from llmproxy.adapter_kit.openai_compatible import OpenAICompatible
from llmproxy.config import Alias, Config, Key, Limits, Provider
from llmproxy.core.adapter import Account, Model, Outgoing
from llmproxy.core.chat import Face, Json
from llmproxy.core.errors import BadRequest, ModelNotFound, Unreachable, UpstreamError
from llmproxy.routing.gateway import Gateway
from llmproxy.routing.model_catalog import ModelCatalog, Source
from llmproxy.testing import Behaviour, FakeProvider, chunk, completion, read_stream, sse
from llmproxy.testing.jumping_clock import run
from llmproxy.upstream.http import Client
from tests.core.kit import chat
from tests.core.openers import taken

# The model catalogue


@dataclass
class Incoming:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    async def read(self, limit: int) -> bytes:
        return self.body


@dataclass
class Lists:
    """A client whose every call gets the next of these; the last one again and again."""

    said: list[Any]
    asked: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def send(self, outgoing: Outgoing, *, connect: float, more: object = None) -> AsyncIterator[Incoming]:
        now = self.said[min(len(self.asked), len(self.said) - 1)]
        self.asked.append(outgoing.url)
        if isinstance(now, Exception):
            raise now
        if isinstance(now, asyncio.Event):
            await now.wait()
        yield now if isinstance(now, Incoming) else Incoming(200, orjson.dumps({"data": [{"id": one} for one in now]}))


class Knowing(OpenAICompatible):
    known_models: Sequence[Model] = (Model("known", 1, "them"),)


class Broken(OpenAICompatible):
    def models(self, body: bytes) -> tuple[Sequence[Model], str | None]:
        raise KeyError("an adapter's bug")


class Paged(OpenAICompatible):
    def models_request(self, page: str | None = None) -> Outgoing:
        return Outgoing(f"{self.base_url}/models?page={page}", method="GET")

    def models(self, body: bytes) -> tuple[Sequence[Model], str | None]:
        number = int(orjson.loads(body)["data"][0]["id"])
        return [Model(str(number))], str(number + 1) if number < 3 else None


def source(*said: Any, name: str = "p", adapter: type[OpenAICompatible] = OpenAICompatible, **more: Any) -> Source:
    provider = Provider(name, "compatible", "http://localhost/v1", **more)
    return Source(provider, adapter(Account(name, provider.base_url)), cast(Client, Lists(list(said))))


def after(catalog: ModelCatalog, seconds: float = 1.0) -> list[str]:
    """provider/model of all that is offered after so many seconds."""

    async def play() -> None:
        task = asyncio.get_running_loop().create_task(catalog.keep_fresh())
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled(), "it must go on for ever"

    run(play())
    return [f"{provider}/{model.id}" for provider, model in catalog.offer.models]


def asked(of: Source) -> int:
    return len(cast(Lists, of.client).asked)


def test_what_providers_list_is_offered_in_the_configs_order() -> None:
    catalog = ModelCatalog([source(["b", "a"], name="one"), source(["a"], name="two")])
    assert after(catalog) == ["one/b", "one/a", "two/a"]
    assert catalog.serves("a") == ["one", "two"]
    assert [model.id for provider, model in catalog.offer.models if provider == "two"] == ["a"]
    assert catalog.first.is_set()


def test_configured_and_known_models_are_there_before_any_list_and_each_once() -> None:
    one = source(["listed", "known"], adapter=Knowing, models=("mine", "known"))
    catalog = ModelCatalog([one])
    assert [model.id for _, model in catalog.offer.models] == ["known", "mine"]
    assert after(catalog) == ["p/known", "p/mine", "p/listed"]


def test_a_provider_that_is_down_is_left_out_and_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmproxy.routing.model_catalog.log", structlog.get_logger())
    down, up = source(Unreachable("refused"), name="down"), source(["a"], name="up")
    with capture_logs() as logged:
        assert after(ModelCatalog([down, up]), 40.0) == ["up/a"]
    assert [(one["event"], one["provider"]) for one in logged] == [("models_unavailable", "down")]
    assert asked(down) == 3


def test_it_is_there_again_soon_after_it_is_up() -> None:
    down = source(Unreachable("refused"), ["a"])
    assert after(ModelCatalog([down]), 20.0) == ["p/a"]


def test_only_who_failed_is_asked_again_soon() -> None:
    down, up = source(Unreachable("refused"), name="down"), source(["a"], name="up")
    after(ModelCatalog([down, up]), 50.0)
    assert (asked(down), asked(up)) == (4, 1)


def test_a_list_that_hangs_holds_nobody_up_for_longer_than_its_time() -> None:
    hanging, up = source(asyncio.Event(), name="hanging"), source(["a"], ["a", "b"], name="up")
    catalog = ModelCatalog([hanging, up])
    assert after(catalog, 610.0) == ["up/a", "up/b"]
    assert catalog.first.is_set()


def test_a_list_that_was_had_is_kept_when_the_next_cannot_be() -> None:
    once = source(["a"], Unreachable("refused"))
    assert after(ModelCatalog([once]), 700.0) == ["p/a"]
    assert asked(once) >= 2


@pytest.mark.parametrize(
    "answer", [Incoming(500, b""), Incoming(200, b"<html>"), Incoming(401, b"{}"), asyncio.Event()]
)
def test_whatever_goes_wrong_with_one_the_others_are_offered(answer: Any) -> None:
    assert after(ModelCatalog([source(answer, name="bad"), source(["a"], name="good")]), 20.0) == ["good/a"]


def test_an_adapter_that_breaks_over_its_list_stops_nobody_elses() -> None:
    catalog = ModelCatalog([source(["x"], name="bad", adapter=Broken), source(["a"], name="good")])
    assert after(catalog, 20.0) == ["good/a"]
    assert catalog.first.is_set()


def test_all_pages_are_read() -> None:
    assert after(ModelCatalog([source(["1"], ["2"], ["3"], adapter=Paged)])) == ["p/1", "p/2", "p/3"]


def test_a_provider_that_is_not_to_be_asked_is_not() -> None:
    quiet = source(["a"], list_models=False, models=("mine",))
    assert after(ModelCatalog([quiet])) == ["p/mine"]
    assert asked(quiet) == 0


def test_a_name_nobody_lists_may_be_the_one_providers_whose_list_is_missing() -> None:
    down, up = source(Unreachable("no"), name="down"), source(["a"], name="up")
    catalog = ModelCatalog([down, up])
    after(catalog)
    assert catalog.serves("a") == ["up"]
    assert catalog.serves("new") == ["down"]
    both = ModelCatalog([source(Unreachable("no"), name="x"), source(Unreachable("no"), name="y")])
    after(both)
    assert both.serves("new") == []


# The gateway

KEY = Key("me", "")


def config(fake: FakeProvider, *names: str, **more: Any) -> Config:
    """A gateway whose providers are all the fake, each under its adapter's name."""
    limits = Limits(retries=0)
    providers = tuple(Provider(name, name, f"{fake.url}/v1", "k", models=("m",), list_models=False) for name in names)
    return Config(providers=providers, limits=limits, **more)


async def said(
    fake: FakeProvider, built: Config, model: str, face: Face = "chat", **members: Any
) -> tuple[Json, bytes]:
    """What the provider was asked at last, and what came of it."""
    gateway = Gateway.build(built)
    question = chat(face=face, **members)
    question = type(question)({**question.body, "model": model}, model, face, None, question.trace)
    try:
        frames = await taken(_Routed(gateway), question)
        return fake.last.json, b"".join(frames)
    finally:
        await gateway.close()


class _Routed:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def open(self, question: Any) -> Any:
        return self._gateway.open(question, self._gateway.route(question, KEY))


@pytest.mark.parametrize(
    ("face", "members", "path"),
    [
        ("chat", {"stream": False}, "/v1/chat/completions"),
        ("completions", {"stream": False, "prompt": "Say"}, "/v1/completions"),
        ("embeddings", {"stream": False, "input": "Say"}, "/v1/embeddings"),
    ],
)
async def test_each_face_is_asked_at_its_own_address_by_the_providers_name(
    face: Face, members: Json, path: str
) -> None:
    async with FakeProvider() as fake:
        fake.answers({**completion(), "data": []})
        sent, _ = await said(fake, config(fake, "openai"), "openai/m", face, **members)
        assert (fake.last.path, sent["model"]) == (path, "m")
        assert fake.last.headers["authorization"] == "Bearer k"


async def test_a_text_completion_is_put_as_a_chat_to_who_only_chats() -> None:
    async with FakeProvider() as fake:
        fake.streams(sse(chunk({"content": "Hi"}), chunk({}, finish="stop")))
        sent, out = await said(
            fake, config(fake, "perplexity"), "perplexity/m", "completions", prompt="Say", stream=True
        )
        assert sent["messages"] == [{"role": "user", "content": "Say"}]
        assert read_stream(out).first.text == "Hi"


async def test_who_has_no_such_face_is_not_asked() -> None:
    async with FakeProvider() as fake:
        with pytest.raises(BadRequest) as caught:
            await said(fake, config(fake, "demo"), "demo/m", "embeddings", input="Say")
        assert (caught.value.code, fake.exchanges) == ("unsupported_endpoint", [])


async def test_of_a_chain_only_those_with_the_face_are_asked() -> None:
    async with FakeProvider() as fake:
        fake.answers({"object": "list", "data": []})
        aliases = {"vectors": Alias("vectors", chain=("demo/hello", "openai/m"))}
        await said(
            fake, config(fake, "demo", "openai", aliases=aliases), "vectors", "embeddings", input="x", stream=False
        )
        assert fake.last.path == "/v1/embeddings"


async def test_a_chain_goes_on_with_the_next() -> None:
    async with FakeProvider() as fake:
        fake.fails(503)
        fake.answers(completion())
        aliases = {"both": Alias("both", chain=("openrouter/m", "openai/n"))}
        sent, out = await said(fake, config(fake, "openrouter", "openai", aliases=aliases), "both", stream=False)
        assert (sent["model"], len(fake.exchanges)) == ("n", 2)
        assert orjson.loads(out)["choices"][0]["message"]["content"] == "Hello"


@pytest.mark.parametrize(("name", "times"), [("openai", 1), ("perplexity", 3)])
async def test_several_choices_are_asked_for_at_once_only_where_the_provider_gives_one(name: str, times: int) -> None:
    async with FakeProvider() as fake:
        for _ in range(times):
            fake.streams(sse(chunk({"content": "Hi"}), chunk({}, finish="stop")))
        await said(fake, config(fake, name), f"{name}/m", n=3)
        assert [one.json.get("n") for one in fake.exchanges] == ([3] if times == 1 else [None] * 3)


async def test_a_model_that_nobody_has_is_not_found() -> None:
    async with FakeProvider() as fake:
        with pytest.raises(ModelNotFound):
            await said(fake, config(fake, "openai", "openrouter"), "nobody/m")
        assert fake.exchanges == []


async def test_an_adapters_failure_is_the_providers_and_told_as_it_was() -> None:
    async with FakeProvider() as fake:
        fake.fails(402, {"error": {"message": "Pay first.", "code": "insufficient_quota", "type": "x", "param": None}})
        with pytest.raises(UpstreamError, match="Pay first") as caught:
            await said(fake, config(fake, "openai"), "openai/m")
        assert (caught.value.status, caught.value.code) == (402, "insufficient_quota")


async def test_providers_that_are_reached_alike_share_their_connections() -> None:
    plain = [Provider(name, "openai", "http://localhost/v1", "k") for name in ("a", "b")]
    other = Provider("c", "openai", "http://localhost/v1", "k", verify_tls=False)
    gateway = Gateway.build(Config(providers=(*plain, other)))
    a, b, c = (gateway.stacks[name].client for name in ("a", "b", "c"))
    assert a is b
    assert a is not c
    await gateway.close()


async def test_an_overloaded_model_leaves_the_other_models_of_its_provider_to_be_asked() -> None:
    async with FakeProvider() as fake:
        gateway = Gateway.build(config(fake, "openai"))

        async def outcome(model: str, **members: Any) -> str | None:
            question = chat(stream=False, **members)
            question = type(question)({**question.body, "model": model}, model, trace=question.trace)
            try:
                await taken(_Routed(gateway), question)
            except UpstreamError as error:
                return error.code
            return None

        for _ in range(5):
            fake.fails(503)
            assert await outcome("openai/busy") != "upstream_unavailable"
        assert await outcome("openai/busy") == "upstream_unavailable"
        fake.answers(completion())
        assert await outcome("openai/other") is None
        assert len(fake.exchanges) == 6
        await gateway.close()


async def test_a_chain_goes_on_where_one_of_several_choices_failed() -> None:
    stream = sse(chunk({"content": "Hi"}), chunk({}, finish="stop"))
    async with FakeProvider() as fake:
        fake.hangs(sse(chunk({"content": "first"}), done=False))
        fake.does(Behaviour([b"{}"], 503, {"content-type": "application/json"}, framing="length", every=0.1))
        fake.streams(stream)
        aliases = {"both": Alias("both", chain=("perplexity/m", "openai/m"))}
        _, out = await said(fake, config(fake, "perplexity", "openai", aliases=aliases), "both", n=2, stream=True)
        assert read_stream(out).first.text == "Hi"
        assert len(fake.exchanges) == 3


async def test_what_the_parts_of_one_request_do_is_one_verdict() -> None:
    async with FakeProvider() as fake:
        built = config(fake, "perplexity")
        gateway = Gateway.build(built)
        for _ in range(8):
            fake.fails(503)
        question = chat(n=8)
        question = type(question)({**question.body, "model": "perplexity/m"}, "perplexity/m", trace=question.trace)
        with pytest.raises(UpstreamError):
            await taken(_Routed(gateway), question)
        assert gateway.stacks["perplexity"].breaker.left_alone == []
        await gateway.close()


@pytest.mark.parametrize(("own", "used"), [(None, "env"), ("", None), ("http://own:1", "own")])
async def test_a_providers_own_proxy_goes_before_the_environments(own: str | None, used: str | None) -> None:
    provider = Provider("p", "compatible", "http://llm.example/v1", proxy=own)
    gateway = Gateway.build(Config(providers=(provider,), proxies={"all": "http://env:1"}))
    found = gateway.stacks["p"].client._proxies.find("http", "llm.example", 80)
    assert (found.host if found is not None else None) == used
    await gateway.close()
