"""GET /metrics for Prometheus; the client library is imported at the first scrape."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, get_args

import orjson
from aiohttp import web

from llmproxy.config import Key
from llmproxy.core.chat import Json
from llmproxy.core.lifecycle import Phase
from llmproxy.core.usage import DOLLAR, summed
from llmproxy.observe.histograms import COUNTERS, HISTOGRAMS
from llmproxy.observe.periodic import failures
from llmproxy.routing.gateway import Gateway
from llmproxy.routing.permits import permits
from llmproxy.routing.router import permits_some

from ..context import ACCOUNTS, CURRENT, LOAD_SHEDDING, OBSERVER, PEERS, REGISTRY, STORE, caller
from ..degradation import consequences, stores_up
from ..middleware.forwarding import is_from_peer, others
from ..opened_store import opened, problem

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_LABELS = ("provider", "model", "outcome")
_TOTALS = {
    "requests": "Requests that ended.",
    "retries": "Attempts beyond the first one of a request.",
    "tokens_in": "Prompt tokens, as counted by the providers.",
    "tokens_out": "Completion tokens, counted or estimated.",
    "seconds": "Time from a request's arrival to its end.",
    "first_frame_seconds": "Time from a request's arrival to its first content chunk.",
}
_GAUGES = {
    "open": "Workers whose breaker for this provider is open.",
    "queued": "Requests in the queue of this provider.",
}
_BUDGET = {
    "held_dollars": "Held for open attempts, over all budgets.",
    "leased_dollars": "Leased from budgets and not spent yet.",
}
_REFUSALS = "Requests that a key's own limits refused, and streams that its budget ended."
PHASES = get_args(Phase)
_STORES = {
    "store_up": ("Whether a configured store answers.", ("worker", "store")),
    "degraded": (
        "1 while an unavailable store has this consequence, by the mode in [degraded].",
        ("worker", "store", "consequence", "mode"),
    ),
}
_WORKERS = {
    "loop_lag_seconds": "Worst delay of the event loop within the last minute.",
    "memory_bytes": "Resident memory.",
    "limits_shared": "1 while limits are counted together with the other processes; 0 while each applies its share.",
    "storage_up": "Whether the database accepts changes.",
    "storage_waiting": "Rows and answers that wait in memory until it does.",
}


async def metrics(request: web.Request) -> web.Response:
    from prometheus_client import CONTENT_TYPE_LATEST
    from prometheus_client.exposition import generate_latest

    totals = _own(request.app)
    for other in (await others(request, machines=False)).answers:
        totals = summed(totals, other)
    if is_from_peer(request):
        return web.Response(body=orjson.dumps(totals), content_type="application/json")
    collector, key = _Collector(totals), caller(request)
    limited = not key.admin and "*" not in key.models
    seen = _Seen(collector, key, request.app[CURRENT].gateway) if limited else collector
    body = await asyncio.to_thread(generate_latest, seen)  # with many models there are tens of thousands of lines
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


class _Seen:
    """The metrics without those of models and providers that the key may not use."""

    def __init__(self, inner: _Collector, key: Key, gateway: Gateway) -> None:
        self._inner = inner
        self._key = key
        self._offered = gateway.catalog.offer

    def collect(self) -> Iterator[Metric]:
        for family in self._inner.collect():
            family.samples = [sample for sample in family.samples if self._sees(sample.labels)]
            yield family

    def _sees(self, labels: Mapping[str, str]) -> bool:
        provider = labels.get("provider") or labels.get("gen_ai_provider_name")
        model = labels.get("model") or labels.get("gen_ai_request_model")
        if provider and model:
            return permits(self._key, f"{provider}/{model}")
        if model:
            return permits(self._key, model)
        return not provider or permits_some(self._key, provider, self._offered)


def _own(app: web.Application) -> Json:
    """This process's numbers, in a form that can be summed over processes."""
    stacks = app[CURRENT].gateway.stacks
    peers = app[PEERS]
    worker = str(peers.own.worker if peers is not None else 0)
    return {
        "totals": {"\n".join(labels): asdict(totals) for labels, totals in app[OBSERVER].metrics.totals.items()},
        "refused": {"\n".join(label): count for label, count in app[OBSERVER].refusals.counts.items()},
        **app[OBSERVER].metrics.distributions.as_json(),
        **_budgets(app),
        "in_flight": len(app[REGISTRY]),
        "phases": dict(Counter(one.phase for one in app[REGISTRY])),
        "open": {name: int(stack.breaker.state == "open") for name, stack in stacks.items()},
        "queued": {name: places.queued for name, places in app[CURRENT].gateway.places.items()},
        "job_failures": dict(failures),
        "telemetry_dropped": dict(sender.dropped) if (sender := app[OBSERVER].telemetry) is not None else {},
        "storage_failures": store.failures if (store := opened(app[STORE])) is not None else 0,
        "storage_up": {worker: int(not problem(app[STORE]))},
        "storage_waiting": {worker: store.unwritten if store is not None else 0},
        "loop_lag_seconds": {worker: app[LOAD_SHEDDING].lag},
        "memory_bytes": {worker: app[LOAD_SHEDDING].memory},
        "peers": _peers(app),
        "stores": {f"{worker}\n{name}": int(up) for name, up in stores_up(app).items()},
        "degraded": {
            f"{worker}\n{one.store}\n{one.consequence}\n{one.mode}": int(one.holds) for one in consequences(app)
        },
        "limits_shared": {worker: int((together := app[ACCOUNTS].together) is not None and together.is_there)},
    }


def _peers(app: web.Application) -> dict[str, int]:
    """The number of other machines by their state, as seen by this process."""
    peers = app[PEERS]
    if peers is None or peers.machines is None or peers.own.worker:  # only one worker reports them
        return {}
    return dict(Counter(one.state for one in peers.machines.peers))


def _budgets(app: web.Application) -> Json:
    accounts = app[ACCOUNTS]
    pots = accounts.bank.pots.values()
    return {
        "budget": {
            "held_dollars": sum(pot.held for pot in pots) / DOLLAR,
            "leased_dollars": sum(pot.granted for pot in pots) / DOLLAR,
        },
        "refusals": {
            "rate": accounts.rate_refusals,
            "budget": accounts.bank.refused,
            "budget_in_stream": accounts.bank.ended,
        },
    }


class _Collector:
    def __init__(self, values: Json) -> None:
        self._values = values

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for name, text in _TOTALS.items():
            family = CounterMetricFamily(f"llmproxy_{name}", text, labels=_LABELS)
            for labels, totals in self._values["totals"].items():
                family.add_metric(labels.split("\n"), totals[name])
            yield family
        refused = CounterMetricFamily("llmproxy_refused", "Requests that were refused.", labels=("status", "code"))
        for labels, count in self._values["refused"].items():
            refused.add_metric(labels.split("\n"), count)
        yield refused
        broken = CounterMetricFamily("llmproxy_job_failures", "Failed runs of periodic jobs.", labels=("job",))
        for job, count in self._values["job_failures"].items():
            broken.add_metric((job,), count)
        yield broken
        dropped = CounterMetricFamily(
            "llmproxy_telemetry_dropped", "Requests whose spans no collector took.", labels=("reason",)
        )
        for reason, count in self._values["telemetry_dropped"].items():
            dropped.add_metric((reason,), count)
        yield dropped
        yield CounterMetricFamily(
            "llmproxy_storage_failures",
            "Batches that the database rejected.",
            value=self._values["storage_failures"],
        )
        yield GaugeMetricFamily("llmproxy_in_flight", "Requests being answered now.", value=self._values["in_flight"])
        others = GaugeMetricFamily("llmproxy_peers", "Other replicas, by whether they answer.", labels=("state",))
        for state, count in self._values["peers"].items():
            others.add_metric((state,), count)
        yield others
        for name, (text, labels) in _STORES.items():
            gauge = GaugeMetricFamily(f"llmproxy_{name}", text, labels=labels)
            for labelled, value in self._values["stores" if name == "store_up" else name].items():
                gauge.add_metric(labelled.split("\n"), value)
            yield gauge
        yield from self._histograms()
        yield from self._counters()
        yield from self._accounts()
        for label, gauges in (("provider", _GAUGES), ("worker", _WORKERS)):
            for name, text in gauges.items():
                gauge = GaugeMetricFamily(f"llmproxy_{name}", text, labels=(label,))
                for labelled, value in self._values[name].items():
                    gauge.add_metric((labelled,), value)
                yield gauge

    def _histograms(self) -> Iterator[Metric]:
        from prometheus_client.core import HistogramMetricFamily

        for name, kind in HISTOGRAMS.items():
            family = HistogramMetricFamily(name, kind.text, labels=kind.labels)
            for labels, series in self._values["histograms"][name].items():
                total, buckets = 0, []
                for at, end in enumerate((*kind.buckets, float("inf"))):
                    total += series.get(str(at), 0)
                    buckets.append(("+Inf" if end == float("inf") else repr(end), total))
                family.add_metric(labels.split("\n"), buckets=buckets, sum_value=series["sum"])
            yield family

    def _counters(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily

        for name, (text, labels) in COUNTERS.items():
            family = CounterMetricFamily(name, text, labels=labels)
            for labelled, amount in self._values["counters"][name].items():
                family.add_metric(labelled.split("\n"), amount)
            yield family

    def _accounts(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        refusals = CounterMetricFamily("llmproxy_limit_refusals", _REFUSALS, labels=("limit",))
        for limit, count in self._values["refusals"].items():
            refusals.add_metric((limit,), count)
        yield refusals
        for name, value in self._values["budget"].items():
            yield GaugeMetricFamily(f"llmproxy_budget_{name}", _BUDGET[name], value=value)
        phases = GaugeMetricFamily(
            "llmproxy_in_flight_phase", "Requests being answered now, by phase.", labels=("phase",)
        )
        for phase in PHASES:
            phases.add_metric((phase,), self._values["phases"].get(phase, 0))
        yield phases
