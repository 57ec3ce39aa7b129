"""Checks of answers for Messages, Responses and Gemini: streams, usage, sources, reasoning."""

from __future__ import annotations

from ..connection import Behaviour
from ..provider import SSE_TYPE
from .client_apis import ClientApi
from .harness import Harness, clean, expect
from .provider_apis import ProviderApi
from .scripted_reply import Count, Json, ScriptedReply, Text, Thought
from .shared_cases import HELLO, HM, LOOK_AT, STATE, TWO_CALLS, in_order
from .shared_requests import sent_on


async def streamed(api: ClientApi, harness: Harness) -> str:
    harness.replies_with(ScriptedReply([HM, HELLO]))
    clean((await api.ask(harness)).violations())
    return "every event and member"


async def whole(api: ClientApi, harness: Harness) -> str:
    harness.replies_with(ScriptedReply([HM, HELLO]))
    clean((await api.ask(harness, stream=False)).violations())
    return "every member"


async def not_held_back(api: ClientApi, harness: Harness) -> str:
    """The provider sends some text and then nothing: the client must receive that text at once."""
    scripted = ScriptedReply([HELLO])

    def begins(api: ProviderApi, stream: bool) -> Behaviour:
        del stream
        return Behaviour([api.begins(scripted, HELLO.text[:8])], headers=SSE_TYPE, ending="hang")

    harness.answers_in_api(begins)
    await harness.reads_until(b"Hello, ", path=api.path, **api.hello)
    return "each event at once"


async def counted(api: ClientApi, harness: Harness) -> str:
    return await _counted(api, harness, stream=True)


async def counted_whole(api: ClientApi, harness: Harness) -> str:
    return await _counted(api, harness, stream=False)


async def _counted(api: ClientApi, harness: Harness, *, stream: bool) -> str:
    count = Count(2000, 800, 90, 40)
    harness.replies_with(ScriptedReply([HELLO], count=count))
    usage = (await api.ask(harness, stream=stream)).view.usage
    wanted = {"prompt": count.prompt, "cached": count.cached, "completion": count.completion}
    expect(usage == wanted, f"{usage}, the provider said {wanted}")
    return "the provider's own numbers"


async def uncounted(api: ClientApi, harness: Harness) -> str:
    harness.replies_with(ScriptedReply([HELLO], count=None))
    reply = await api.ask(harness)
    numbers = [reply.view.usage.get(name) for name in ("prompt", "completion")]
    counted = all(isinstance(one, int) for one in numbers)
    expect(counted or api.usage_optional, f"usage {reply.view.usage}: clients stop at it")
    in_order(reply)
    return "numbers all the same"


async def sources(api: ClientApi, harness: Harness) -> str:
    harness.replies_with(ScriptedReply([Text("Hello", sources=[("A", "https://a.example/1")])]))
    reply = await api.ask(harness)
    expect(reply.view.sources == ["https://a.example/1"], f"sources {reply.view.sources}")
    in_order(reply)
    return "kept"


async def call_ids(api: ClientApi, harness: Harness) -> str:
    """The provider must recognise the call IDs in a client's results."""
    harness.replies_with(ScriptedReply(TWO_CALLS))
    view = (await api.ask(harness, **api.build.tools("look", "wait"))).view
    content, ids = view.content, view.ids
    expect(len(ids) == 2 and len(set(ids)) == 2 and all(ids), f"ids {ids}")
    harness.asked.clear()
    harness.replies_with(ScriptedReply([HELLO]))
    results = {str(id): f"result {number}" for number, id in enumerate(ids)}
    await api.ask(harness, **api.build.tools("look", "wait"), **api.build.turn(content, results))
    sent = sent_on(harness)
    missing = [name for name in ("result 0", "result 1", "sea", "light") if name not in sent]
    expect(not missing, f"not sent on: {missing}")
    for call, result in zip(TWO_CALLS, results.values(), strict=True):
        expect(sent.count(call.id) >= 2, f"the provider's id {call.id!r} does not lead to {result!r}")
    return "the provider's own ids"


async def reasoning_goes_round(api: ClientApi, harness: Harness) -> str:
    """A client sends reasoning back; the provider must not get data that only the gateway can read."""
    harness.replies_with(ScriptedReply([Thought("Hm, so.", state="c3RhdGU="), LOOK_AT]))
    asked: Json = {**api.build.tools("look"), **_encrypted(api)}
    content = (await api.ask(harness, **asked)).view.content
    harness.asked.clear()
    harness.replies_with(ScriptedReply([HELLO]))
    reply = await api.ask(harness, **{**asked, **api.build.turn(content, {"call_a": "a lamp"})})
    expect(reply.view.text == HELLO.text, f"text {reply.view.text!r}")
    blobs = [one.get(name) for one in content for name in STATE]
    foreign = [one for one in blobs if one and one != "c3RhdGU=" and one in sent_on(harness)]
    expect(not foreign, f"sent on: {foreign}")
    return "taken back"


def _encrypted(api: ClientApi) -> Json:
    return {"include": ["reasoning.encrypted_content"], "store": False} if api.name == "responses" else {}
