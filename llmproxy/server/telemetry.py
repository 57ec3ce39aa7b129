"""Sends spans and metrics to an OpenTelemetry collector in the background: in batches, from a bounded queue."""

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
from llmproxy.observe.otlp_content import content_of
from llmproxy.observe.periodic import failed
from llmproxy.requests.running import Running

from .context import OBSERVER

LOOK = 1.0  # seconds between two checks of the queue
BATCH = 256  # requests in one report
_PATIENCE = aiohttp.ClientTimeout(total=10)
_LONGEST = 30.0  # seconds between two attempts while the collector fails
_CONTENT = 32 * 1024 * 1024  # bytes of messages that wait to be sent; above it, spans are sent without
_AGAIN = frozenset((429, 502, 503, 504))  # retried, by the protocol; every other error is final

Verdict = Literal["sent", "refused", "later"]


class Telemetry:
    """dropped: number of requests whose spans were lost, by reason: `full`, `refused`, `shutdown`; or only their messages:
    `content`.
    """

    def __init__(self, settings: Settings, numbers: Distributions, in_flight: Callable[[], int]) -> None:
        self._settings = settings
        self._numbers = numbers
        self._in_flight = in_flight
        self._waiting: deque[Ended] = deque()
        self._content_bytes = 0  # of those that wait
        self._since = time.time()
        self._resource = {
            "service.name": settings.service, "service.version": __version__, "service.instance.id": secrets.token_hex(16),
            "telemetry.sdk.name": "llmproxy", "telemetry.sdk.language": "python",
        }  # fmt: skip
        self._session: aiohttp.ClientSession | None = None
        self._failing = 0  # consecutive reports that failed
        self._not_before = 0.0
        self.dropped: Counter[str] = Counter()

    def arrive(self, headers: Mapping[str, str]) -> TraceContext | None:
        """The trace context of a request with these headers."""
        if self._settings.traces == "off":
            return None
        caller = parse(headers.get("traceparent"), headers.get("tracestate"))
        return (joined if self._settings.traces == "join" else begun)(caller, self._settings.sample)

    def ended(self, running: Running, record: RequestRecord) -> None:
        """Keeps the data for its spans until they are sent."""
        context = running.trace.context
        if context is None or not context.sampled:
            return
        if len(self._waiting) >= self._settings.queue:
            self.dropped["full"] += 1
            return
        began = running.started_at - running.started
        pairs = zip(running.trace.tries, record.tries, strict=True)
        calls = [Call(began + one.started, attempt_record) for one, attempt_record in pairs]
        self._waiting.append(Ended(context, record, calls, self._content(running)))

    def _content(self, running: Running) -> dict[str, str | None]:
        """The messages of the request, if they are to be sent."""
        kept, most = running.trace.content, self._settings.content
        if kept is None or not most:
            return {}
        found = content_of(kept.question[:most], bytes(kept.answer[:most]))
        size = _size(found)
        if self._content_bytes + size > _CONTENT:
            self.dropped["content"] += 1
            return {}
        self._content_bytes += size
        return found

    async def run(self) -> None:
        """Reports until it is cancelled."""
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
            except Exception as error:  # noqa: BLE001  # the next report must be tried after any failure
                failed("telemetry", error)

    async def close(self) -> None:
        """Sends the rest, within its time limit. What was not sent by then is counted as dropped."""
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
                self._content_bytes -= _size(self._waiting.popleft().content)

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
        """Logs it once, until a report succeeds again."""
        self._failing += 1
        if self._failing == 1:
            log.warning("telemetry_failed", reason=reason)


def _size(content: Mapping[str, str | None]) -> int:
    return sum(len(one) for one in content.values() if one is not None)


async def reporting(app: web.Application) -> AsyncIterator[None]:
    """Reports during the lifetime of the application, and once more at its end."""
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
