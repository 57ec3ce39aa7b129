"""Sends spans and metrics to an OpenTelemetry collector, beside the requests: in batches, from a queue that has an end."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Literal

import aiohttp
import orjson
from aiohttp import web

from llmproxy import __version__
from llmproxy.config.telemetry import headers_of
from llmproxy.config.values import Telemetry as Settings
from llmproxy.core.chat import Json
from llmproxy.core.record import RequestRecord
from llmproxy.core.trace_context import TraceContext, begun, joined, parse
from llmproxy.observe import otlp
from llmproxy.observe.histograms import Distributions
from llmproxy.observe.log import log
from llmproxy.observe.otlp import Call, Ended
from llmproxy.observe.periodic import failed
from llmproxy.requests.running import Running

from .context import OBSERVER

LOOK = 1.0  # seconds between two looks at what waits
BATCH = 256  # requests of one report
_PATIENCE = aiohttp.ClientTimeout(total=10)
_LONGEST = 30.0  # seconds between two tries while the collector fails
_AGAIN = frozenset((429, 502, 503, 504))  # by the protocol; every other refusal is final

Verdict = Literal["sent", "refused", "later"]


class Telemetry:
    """dropped: requests whose spans were lost, by why: `full`, `refused`, `shutdown`."""

    def __init__(self, settings: Settings, numbers: Distributions, in_flight: Callable[[], int]) -> None:
        self._settings = settings
        self._numbers = numbers
        self._in_flight = in_flight
        self._waiting: deque[Ended] = deque()
        self._since = time.time()
        self._resource = {
            "service.name": settings.service, "service.version": __version__, "service.instance.id": secrets.token_hex(16),
            "telemetry.sdk.name": "llmproxy", "telemetry.sdk.language": "python",
        }  # fmt: skip
        self._session: aiohttp.ClientSession | None = None
        self._failing = 0  # reports in a row that did not arrive
        self._not_before = 0.0
        self.dropped: Counter[str] = Counter()

    def arrive(self, headers: Mapping[str, str]) -> TraceContext | None:
        """Of a request that came with these headers."""
        if self._settings.traces == "off":
            return None
        caller = parse(headers.get("traceparent"), headers.get("tracestate"))
        return (joined if self._settings.traces == "join" else begun)(caller, self._settings.sample)

    def ended(self, running: Running, record: RequestRecord) -> None:
        """Keeps what its spans are made of, until they are sent."""
        context = running.trace.context
        if context is None or not context.sampled:
            return
        if len(self._waiting) >= self._settings.queue:
            self.dropped["full"] += 1
            return
        began = running.started_at - running.started
        pairs = zip(running.trace.tries, record.tries, strict=True)
        self._waiting.append(Ended(context, record, [Call(began + one.started, told) for one, told in pairs]))

    async def run(self) -> None:
        """Reports for as long as it is not cancelled."""
        metrics_at = time.monotonic() + self._settings.interval
        while True:
            await asyncio.sleep(LOOK)
            try:
                now = time.monotonic()
                if now >= self._not_before:
                    await self._send_spans()
                if self._settings.metrics and now >= metrics_at:
                    metrics_at = now + self._settings.interval
                    await self._send_metrics()
            except Exception as error:  # noqa: BLE001  # whatever it is, the next report comes all the same
                failed("telemetry", error)

    async def close(self) -> None:
        """Sends what is left, within its time. What does not arrive by then is counted as dropped."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.flush):
                await self._send_spans()
                if self._settings.metrics:
                    await self._send_metrics()
        self.dropped["shutdown"] += len(self._waiting)
        self._waiting.clear()
        if self._session is not None:
            await self._session.close()
        if lost := {why: count for why, count in self.dropped.items() if count}:
            log.warning("telemetry_dropped", **lost)

    async def _send_spans(self) -> None:
        while self._waiting:
            batch = list(islice(self._waiting, BATCH))
            verdict = await self._post("/v1/traces", otlp.traces(self._resource, batch))
            if verdict == "later":
                return
            if verdict == "refused":
                self.dropped["refused"] += len(batch)
            for _ in batch:
                self._waiting.popleft()

    async def _send_metrics(self) -> None:
        gauges = {"llmproxy.in_flight": float(self._in_flight())}
        body = otlp.metrics(self._resource, self._numbers, gauges, self._since, time.time())
        await self._post("/v1/metrics", body)

    async def _post(self, path: str, body: Json) -> Verdict:
        if self._session is None:
            headers = {**(headers_of(self._settings.headers) or {}), "Content-Type": "application/json"}
            self._session = aiohttp.ClientSession(timeout=_PATIENCE, headers=headers)
        url = self._settings.endpoint.rstrip("/") + path
        try:
            async with self._session.post(url, data=orjson.dumps(body), allow_redirects=False) as answer:
                status, wait = answer.status, answer.headers.get("Retry-After", "")
                await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return self._later(type(error).__name__)
        if status in _AGAIN:
            return self._later(status, float(wait) if wait.isdecimal() else 0.0)
        if not 200 <= status < 300:
            self._note_failure(status)
            return "refused"
        if self._failing:
            log.info("telemetry_recovered", failures=self._failing)
        self._failing, self._not_before = 0, 0.0
        return "sent"

    def _later(self, reason: object, wait: float = 0.0) -> Verdict:
        self._note_failure(reason)
        wait = min(_LONGEST, max(wait, math.ldexp(LOOK, min(self._failing, 10))))
        self._not_before = time.monotonic() + wait
        return "later"

    def _note_failure(self, reason: object) -> None:
        """Says so once, until a report arrives again."""
        self._failing += 1
        if self._failing == 1:
            log.warning("telemetry_failed", reason=reason)


async def reporting(app: web.Application) -> AsyncIterator[None]:
    """Reports for as long as the application lives, and once more at its end."""
    sender = app[OBSERVER].telemetry
    assert sender is not None
    task = asyncio.get_running_loop().create_task(sender.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await sender.close()
