"""The totals as Prometheus reads them; its library is only loaded when somebody scrapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aiohttp import web

from .keys import CURRENT, INFLIGHT, OBSERVER

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_LABELS = ("provider", "model", "outcome")
_TOTALS = {
    "requests": "Requests that ended.",
    "retries": "Further tries of providers.",
    "tokens_in": "Prompt tokens, as the providers count.",
    "tokens_out": "Completion tokens, counted or estimated.",
    "seconds": "Time from a request's arrival to its end.",
    "first_frame_seconds": "Time from a request's arrival to the first real frame.",
}
_STATES = {"closed": 0, "half_open": 1, "open": 2}


def routes() -> list[web.RouteDef]:
    return [web.get("/metrics", metrics)]


async def metrics(request: web.Request) -> web.Response:
    from prometheus_client import CONTENT_TYPE_LATEST
    from prometheus_client.exposition import generate_latest

    body = generate_latest(_Collector(request.app))
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


class _Collector:
    def __init__(self, app: web.Application) -> None:
        self._app = app

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for name, text in _TOTALS.items():
            family = CounterMetricFamily(f"llmproxy_{name}", text, labels=_LABELS)
            for labels, totals in self._app[OBSERVER].totals.items():
                family.add_metric(labels, getattr(totals, name))
            yield family
        yield GaugeMetricFamily("llmproxy_in_flight", "Requests being answered now.", value=len(self._app[INFLIGHT]))
        breaker = GaugeMetricFamily("llmproxy_breaker", "0 closed, 1 half open, 2 open.", labels=("provider",))
        queued = GaugeMetricFamily("llmproxy_queued", "Requests waiting for their turn.", labels=("provider",))
        for name, room in self._app[CURRENT].gateway.rooms.items():
            breaker.add_metric((name,), _STATES[room.breaker.state])
            if room.limited is not None:
                queued.add_metric((name,), room.limited.queued)
        yield breaker
        yield queued
