"""OpenTelemetry, asked of a running gateway: traces that are joined or linked, and a collector that is slow, wrong or dead."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from llmproxy.core.trace_context import parse
from tests.accounts.house import ANN, ASK, KEYS, ROOT, House, answer, house
from tests.gateway import free_port
from tests.waiting import soon

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = f"00-{TRACE}-{SPAN}-01"


@dataclass
class Collector:
    """Takes what comes, with a status of each in turn; 200 where none is left."""

    statuses: list[int] = field(default_factory=list)
    posts: list[tuple[str, Any]] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)
    tries: int = 0

    async def take(self, request: web.Request) -> web.Response:
        self.tries += 1
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.posts.append((request.path, await request.json()))
            self.headers.append(request.headers)
        return web.Response(status=status)

    @property
    def spans(self) -> list[Any]:
        bodies = [body for path, body in self.posts if path == "/v1/traces"]
        return [one for body in bodies for one in body["resourceSpans"][0]["scopeSpans"][0]["spans"]]

    @property
    def metrics(self) -> set[str]:
        bodies = [body for path, body in self.posts if path == "/v1/metrics"]
        return {one["name"] for body in bodies for one in body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]}


@asynccontextmanager
async def collecting(*statuses: int, **settings: Any) -> AsyncIterator[tuple[House, Collector]]:
    collector, port = Collector(list(statuses)), free_port()
    app = web.Application()
    app.router.add_post("/{path:.*}", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    told = {"traces": "join", "endpoint": f"http://127.0.0.1:{port}", **settings}
    table = "\n".join(f"{name} = {json.dumps(value)}" for name, value in told.items())
    try:
        async with house(f"{KEYS}\n[telemetry]\n{table}\n") as there:
            yield there, collector
    finally:
        await runner.cleanup()


async def asked(there: House, **headers: str) -> None:
    there.provider.answers(answer("the answer's words"))
    body = {**ASK, "messages": [{"role": "user", "content": "the question's words"}]}
    assert (await there.ask(ANN, body, **headers))[0] == 200


async def spans(collector: Collector, count: int) -> list[Any]:
    async def look() -> list[Any] | None:
        return collector.spans if len(collector.spans) >= count else None

    return await soon(look)


def attributes(span: Any) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}


async def test_a_request_joins_its_callers_trace_and_takes_its_provider_along() -> None:
    async with collecting(headers="x-tenant=a%20b") as (there, collector):
        await asked(there, traceparent=CALLER, tracestate="vendor=value")
        server, call = await spans(collector, 2)
        assert (server["traceId"], server["parentSpanId"]) == (TRACE, SPAN)
        assert call["parentSpanId"] == server["spanId"]
        told = there.provider.last.headers
        assert parse(told["traceparent"]) == (TRACE, call["spanId"], 1, "")
        assert told["tracestate"] == "vendor=value"
        assert attributes(server)["llmproxy.key"] == "ann"
        assert collector.headers[0]["x-tenant"] == "a b"


async def test_nothing_that_was_said_and_no_key_is_sent() -> None:
    async with collecting(metrics=True) as (there, collector):
        await asked(there, traceparent=CALLER)
        await spans(collector, 2)
        await asyncio.to_thread(there.gateway.stop)
        text = json.dumps(collector.posts)
        for secret in ("question's", "answer's", ANN, "sk-canary"):
            assert secret not in text


async def test_messages_are_sent_if_the_operator_wants_them() -> None:
    async with collecting(content=1000) as (there, collector):
        await asked(there)
        server, call = await spans(collector, 2)
        found = attributes(server)
        assert json.loads(found["gen_ai.input.messages"]) == [
            {"role": "user", "parts": [{"type": "text", "content": "the question's words"}]}
        ]
        [message] = json.loads(found["gen_ai.output.messages"])
        assert message["parts"] == [{"type": "text", "content": "the answer's words"}]
        assert not [name for name in attributes(call) if name.endswith("messages")]
        assert ANN not in json.dumps(collector.posts)
        ExportTraceServiceRequest.FromString(
            ParseDict(collector.posts[0][1], ExportTraceServiceRequest()).SerializeToString()
        )
        _, told, _ = await there.call("GET", "/v1/requests?all=1", ROOT)
        assert "question's" not in json.dumps(told)


async def test_no_more_of_a_message_is_sent_than_the_operator_wants() -> None:
    async with collecting(content=40) as (there, collector):
        await asked(there)
        server, _ = await spans(collector, 2)
        found = attributes(server)
        for name in ("gen_ai.input.messages", "gen_ai.output.messages"):
            [message] = json.loads(found[name])
            assert len(message["parts"][0]["content"]) == 40


async def test_a_linked_request_begins_a_trace_of_its_own() -> None:
    async with collecting(traces="link") as (there, collector):
        await asked(there, traceparent=CALLER, tracestate="vendor=value")
        server, _ = await spans(collector, 2)
        assert server["traceId"] != TRACE
        assert "parentSpanId" not in server
        assert [(one["traceId"], one["spanId"]) for one in server["links"]] == [(TRACE, SPAN)]
        assert server["traceId"] in there.provider.last.headers["traceparent"]
        assert "tracestate" not in there.provider.last.headers


async def test_what_its_caller_does_not_record_is_passed_on_and_not_sent() -> None:
    async with collecting() as (there, collector):
        await asked(there, traceparent=CALLER[:-1] + "0")
        assert there.provider.last.headers["traceparent"].startswith(f"00-{TRACE}-")
        assert there.provider.last.headers["traceparent"].endswith("-00")
        await asked(there)
        server, _ = await spans(collector, 2)
        assert server["traceId"] != TRACE


async def test_a_failed_attempt_is_a_span_of_its_own() -> None:
    async with collecting() as (there, collector):
        there.provider.fails(500)
        await asked(there)
        server, first, second = await spans(collector, 3)
        assert [attributes(one)["llmproxy.attempt.state"] for one in (first, second)] == ["failed", "answered"]
        assert ("status" in first, "status" in second, "status" in server) == (True, False, False)


async def test_where_traces_are_off_no_provider_is_told_and_no_collector_asked() -> None:
    async with collecting(traces="off") as (there, collector):
        await asked(there, traceparent=CALLER, tracestate="vendor=value")
        assert "traceparent" not in there.provider.last.headers
        await asyncio.to_thread(there.gateway.stop)
        assert collector.tries == 0


async def test_what_a_busy_collector_does_not_take_is_sent_again() -> None:
    async with collecting(503, 429) as (there, collector):
        await asked(there)
        assert len(await spans(collector, 2)) == 2
        assert collector.tries == 3
        await asyncio.to_thread(there.gateway.stop)
        assert len(there.gateway.events("telemetry_failed")) == 1
        assert len(there.gateway.events("telemetry_recovered")) == 1


async def dropped(there: House) -> dict[str, float]:
    async with there.client.get(f"{there.gateway.url}/metrics", headers={"Authorization": f"Bearer {ROOT}"}) as told:
        lines = (await told.text()).splitlines()
    found = [
        line.partition('{reason="')[2].partition('"} ')
        for line in lines
        if line.startswith("llmproxy_telemetry_dropped_total{")
    ]
    return {reason: float(count) for reason, _, count in found}


async def test_what_a_collector_refuses_is_counted_and_not_sent_again() -> None:
    async with collecting(400) as (there, collector):
        await asked(there)

        async def look() -> bool:
            return (await dropped(there)).get("refused") == 1

        await soon(look)
        await asked(there)
        await spans(collector, 2)
        assert collector.tries == 2


async def test_a_dead_collector_costs_no_answer_and_what_does_not_fit_is_counted() -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    async with collecting(endpoint=dead, queue=2, flush=0.5) as (there, _):
        for _ in range(5):
            await asked(there)
        assert await dropped(there) == {"full": 3}
        await asyncio.to_thread(there.gateway.stop)
        [event] = there.gateway.events("telemetry_dropped")
        assert (event["full"], event["shutdown"]) == (3, 2)


async def test_what_is_left_is_sent_before_the_process_ends() -> None:
    async with collecting(metrics=True, interval=3600.0) as (there, collector):
        await asked(there)
        await asyncio.to_thread(there.gateway.stop)
        assert len(collector.spans) == 2
        assert {
            "gen_ai.client.operation.duration",
            "gen_ai.client.token.usage",
            "llmproxy.in_flight",
        } <= collector.metrics


async def test_metrics_are_sent_again_and_again() -> None:
    async with collecting(traces="off", metrics=True, interval=0.0) as (there, collector):
        await asked(there)

        async def look() -> bool:
            return len(collector.posts) >= 2 and "gen_ai.server.request.duration" in collector.metrics

        await soon(look)
        assert collector.spans == []


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"endpoint": "collector:4317"}, "endpoint"), ({"headers": "no value"}, "headers"), ({"sample": 2.0}, "sample")],
)
async def test_a_wrong_setting_is_named(settings: Any, word: str) -> None:
    async with house() as there:
        file = there.gateway.folder / "llmproxy.toml"
        table = "\n".join(f"{name} = {json.dumps(value)}" for name, value in settings.items())
        file.write_text(f"{file.read_text()}\n[telemetry]\n{table}\n")
        told = await asyncio.to_thread(there.command, "check")
        assert told.returncode == 2
        assert f"telemetry.{word}" in told.stderr
        assert "Traceback" not in told.stderr
